import { z } from 'zod'
import { MAX_DURATION } from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { route, type Call, type Route } from './route.ts'
import { moment, reference, whole } from './values.ts'

type Reader = Pick<Call<string, undefined, undefined>, 'mayRead'>

/** Numbers and errors of a queue are only for those who may also read the queue itself. */
async function mayReadQueue({ mayRead }: Reader, type: 'stats.read', queue: string): Promise<boolean> {
  return (await mayRead({ type, queue })) && mayRead({ type: 'queues.read', queue })
}

export const observabilityRoutes: readonly Route[] = [
  route({
    id: 'getStats',
    method: 'GET',
    path: 'stats',
    action: 'stats.read',
    summary:
      'Count jobs over time, and measure how long they wait and run. Jobs of queues that you may not read are left out',
    query: z.strictObject({
      /** Only jobs of this queue. Default: the jobs of all queues but those of plugins. */
      queue: reference.optional(),
      /** Only jobs of the worker with this id. */
      worker: reference.optional(),
      /** An ISO date, or milliseconds since the epoch. Default: one hour before `to`. */
      from: moment.optional(),
      /** An ISO date, or milliseconds since the epoch. Default: now. */
      to: moment.optional(),
      /** Milliseconds from one point to the next. The answer has the step that was used, which may be larger. */
      step: whole(MAX_DURATION).min(1).optional(),
    }),
    answer: answers.stats,
    handle: (call) => call.kernel.stats({ ...call.query, mayRead: (queue) => mayReadQueue(call, 'stats.read', queue) }),
  }),
]
