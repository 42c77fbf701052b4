import { z } from 'zod'
import type { Kernel } from '../../../../kernel/index.ts'
import { placesOf } from '../../../flow/lib/flow-places.ts'
import * as answers from './answers.ts'
import { route, type Route } from './route.ts'
import { headers, jobHeadersOf, name, tags } from './values.ts'

/** Returns the definition of a flow in this process. @throws QueueError `FLOW_UNKNOWN` */
function flowOf(kernel: Kernel, flow: string): z.infer<typeof answers.flow> {
  const { version } = kernel.flow(flow)
  const steps = kernel.registry.workers.flatMap((worker) =>
    placesOf(worker)
      .filter((place) => place.name === flow)
      .map(({ name: _flow, step = worker.id, ...place }) => ({
        ...place,
        step,
        worker: worker.id,
        queue: worker.queue.name,
      })),
  )
  return { name: flow, version, steps: steps.map((step) => plain(step)) }
}

/** Replaces functions in a step by their names. */
function plain<T extends object>(step: T): T {
  return Object.fromEntries(
    Object.entries(step).map(([key, value]) => [
      key,
      typeof value === 'function' ? `${value.name || 'function'}()` : value,
    ]),
  ) as T
}

export const flowRoutes: readonly Route[] = [
  route({
    id: 'listFlows',
    method: 'GET',
    path: 'flows',
    action: 'flows.read',
    summary: 'List the flows that this process can start, with their steps',
    answer: z.object({ flows: z.array(answers.flow) }),
    async handle({ kernel, mayRead }) {
      const places = kernel.registry.workers.flatMap((worker) => placesOf(worker))
      const names = new Set(places.filter(({ role }) => role === 'entry').map((place) => place.name))
      const flows = []
      for (const flow of [...names].toSorted()) {
        if (await mayRead({ type: 'flows.read', flow })) flows.push(flowOf(kernel, flow))
      }
      return { flows }
    },
  }),
  route({
    id: 'getFlow',
    method: 'GET',
    path: 'flows/:flow',
    action: 'flows.read',
    summary: 'Get a flow with its steps',
    answer: answers.flow,
    handle: ({ kernel, params }) => flowOf(kernel, params.flow),
  }),
  route({
    id: 'startFlow',
    method: 'POST',
    path: 'flows/:flow',
    action: 'flows.start',
    destructive: false,
    summary: 'Start a run of a flow',
    body: z.strictObject({
      input: z.unknown().optional(),
      /** The id of the run. If a run with this id exists, no run starts. */
      id: name.optional(),
      /** The entry to start, for a flow with several entries. */
      entry: name.optional(),
      tags: tags.optional(),
      headers: headers.optional(),
    }),
    answer: answers.enqueued,
    status: 202,
    async handle({ kernel, params, body: { input, ...options }, request, assertMay }) {
      const started = { ...options, headers: jobHeadersOf(request, options.headers) }
      const run = await kernel.flow(params.flow).start(input, started)
      // Another caller may have started a run with this id.
      if (run.deduplicated) await assertMay({ runId: run.runId })
      return run
    },
  }),
]
