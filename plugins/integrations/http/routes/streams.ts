import { z } from 'zod'
import { MAX_COUNT, QueueError } from '../../../../kernel/index.ts'
import { streamRoute, type Route } from './route.ts'
import { cursor } from './values.ts'

const media = 'text/event-stream'

/** An EventSource that connects again keeps the URL it began with and tells in a header where it stands. */
function lastEventId(request: Request): string | undefined {
  return request.headers.get('last-event-id')?.slice(0, 4096) ?? undefined
}

export const streamRoutes: readonly Route[] = [
  streamRoute({
    id: 'streamRun',
    method: 'GET',
    path: 'runs/:runId/stream',
    action: 'runs.read',
    summary: 'The events of a run as they happen, up to its end; as a WebSocket with an Upgrade header',
    query: z.strictObject({
      /** The seq of the last event that is there already, or `now`. A header `Last-Event-ID` wins. Default 0. */
      after: cursor.optional(),
    }),
    answer: z.string(),
    media,
    stream({ params: { runId }, query, request }) {
      const after = lastEventId(request) ?? query.after ?? '0'
      if (after === 'now') return { stream: runId }
      if (/^\d{1,10}$/.test(after) && Number(after) <= MAX_COUNT) return { stream: runId, after: Number(after) }
      throw new QueueError(
        'REQUEST_INVALID',
        `"after" is the seq of an event, 0 or "now"; got "${after.slice(0, 100)}".`,
      )
    },
  }),
  streamRoute({
    id: 'streamAll',
    method: 'GET',
    path: 'stream',
    action: 'runs.read',
    summary: 'The events of all runs that the request may see; as a WebSocket with an Upgrade header',
    query: z.strictObject({
      /** A cursor that came with an event, where the store has one, or `now`. Default `now`. */
      after: cursor.optional(),
    }),
    answer: z.string(),
    media,
    async stream({ kernel, query, request }) {
      const after = lastEventId(request) ?? query.after ?? 'now'
      if (after === 'now') return { stream: '*' }
      const events = kernel.port('events')
      if (events.capabilities.globalCursor) {
        // Once a stream has begun it is too late to refuse it.
        const leave = await events.subscribe('*', { after }, () => {})
        await leave()
        return { stream: '*', after }
      }
      const message = 'This store has no cursor over all runs. Leave "after" out, or follow one run.'
      throw new QueueError('OPTION_UNSUPPORTED', message)
    },
  }),
]
