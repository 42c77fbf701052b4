import { z } from 'zod'
import { flowOfRun } from '../../lib/find-run.ts'
import * as answers from './answers.ts'
import { route, type Route } from './route.ts'
import { headers, jobHeadersOf, name } from './values.ts'

const message = z.object({
  name: z.string(),
  /** The JSON Schema of its input, if it has one. */
  input: z.record(z.string(), z.unknown()).optional(),
})

/** Queries, updates and signals of the runs of flows. */
export const runMessageRoutes: readonly Route[] = [
  route({
    id: 'listRunMessages',
    method: 'GET',
    path: 'runs/:runId/messages',
    action: 'runs.read',
    summary: 'List the queries and updates of the flow of a run',
    answer: z.object({ flow: z.string(), queries: z.array(message), updates: z.array(message) }),
    async handle({ kernel, params: { runId } }) {
      const flow = await flowOfRun(kernel, runId)
      return { flow, ...kernel.flow(flow).messages() }
    },
  }),
  route({
    id: 'queryRun',
    method: 'POST',
    path: 'runs/:runId/queries/:query',
    action: 'queries.read',
    summary: 'Compute a query of a run from its state',
    body: z.strictObject({ input: z.unknown().optional() }),
    answer: z.object({ result: z.unknown().optional() }),
    async handle({ kernel, params: { runId, query }, body: { input } }) {
      return { result: await kernel.flow(await flowOfRun(kernel, runId)).query(runId, query, input) }
    },
  }),
  route({
    id: 'updateRun',
    method: 'POST',
    path: 'runs/:runId/updates/:update',
    action: 'runs.update',
    summary: 'Change a run with one of its updates, and get the response of the update',
    body: z.strictObject({
      input: z.unknown().optional(),
      /** A repeated request with the same id has no effect, and gets the response of the first request. */
      id: name.optional(),
    }),
    answer: z.object({ result: z.unknown().optional() }),
    async handle({ kernel, params: { runId, update }, body: { input, ...options } }) {
      return { result: await kernel.flow(await flowOfRun(kernel, runId)).update(runId, update, input, options) }
    },
  }),
  route({
    id: 'signalRun',
    method: 'POST',
    path: 'runs/:runId/signals/:signal',
    action: 'runs.signal',
    destructive: false,
    summary: 'Send a signal to a run, for which one of its handlers may wait',
    body: z.strictObject({
      payload: z.unknown().optional(),
      /** A repeated request with the same id has no effect. */
      id: name.optional(),
      headers: headers.optional(),
    }),
    answer: answers.changed,
    status: 202,
    async handle({ kernel, params: { runId, signal }, body: { payload, ...options }, request }) {
      const flow = kernel.flow(await flowOfRun(kernel, runId))
      const sent = await flow.signal(runId, signal, payload, {
        ...options,
        headers: jobHeadersOf(request, options.headers),
      })
      return { changed: !sent.deduplicated }
    },
  }),
]
