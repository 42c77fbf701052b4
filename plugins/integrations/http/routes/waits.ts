import { z } from 'zod'
import * as answers from './answers.ts'
import { wait as waitAnswer } from './operator-answers.ts'
import { route, type Route } from './route.ts'
import { cursor, jobHeadersOf, limit, name } from './values.ts'

export const waitRoutes: readonly Route[] = [
  route({
    id: 'listWaits',
    method: 'GET',
    path: 'waits',
    action: 'waits.read',
    summary:
      'List the open waits for events and requests. A page may have fewer or more entries than its limit. Waits of runs that you may not read are omitted',
    query: z.strictObject({
      limit: limit(100, 500),
      /** The `next` of the previous page. */
      after: cursor.optional(),
    }),
    answer: z.object({ waits: z.array(waitAnswer), next: z.string().optional() }),
    async handle({ kernel, query, mayRead }) {
      const page = await kernel.openWaits(query)
      const waits = []
      for (const wait of page.waits) {
        const { runId, queue, jobId: job } = wait
        if ((await mayRead({ type: 'waits.read', runId, queue, job })) && (await mayRead({ type: 'runs.read', runId })))
          waits.push(wait)
      }
      return { ...page, waits }
    },
  }),
  route({
    id: 'completeWait',
    method: 'POST',
    path: 'waits/:runId/:job/complete',
    action: 'waits.complete',
    summary: 'Complete an open wait of a job without its token. For an event, the event is sent with its key',
    body: z.strictObject({
      payload: z.unknown().optional(),
      /** The name of the wait, for a job with several. Default: the newest open one. */
      name: name.optional(),
    }),
    answer: answers.changed,
    status: 202,
    async handle({ kernel, params: { runId, job: jobId }, body, request }) {
      await kernel.completeWait({ runId, jobId }, body.payload, body.name, { headers: jobHeadersOf(request) })
      return { changed: true }
    },
  }),
  route({
    id: 'resolveWait',
    method: 'POST',
    path: 'waits/:token',
    action: 'waits.resolve',
    summary: 'Resolve a wait of a run by the token at the end of its URL',
    body: z.strictObject({ payload: z.unknown().optional() }),
    answer: answers.changed,
    status: 202,
    async handle({ kernel, params, body, request }) {
      await kernel.resolveWait(params.token, body.payload, { headers: jobHeadersOf(request) })
      return { changed: true }
    },
  }),
]
