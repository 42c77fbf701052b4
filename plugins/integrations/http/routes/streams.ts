import { z } from 'zod'
import { MAX_COUNT, QueueError } from '../../../../kernel/index.ts'
import { streamRoute, type Route } from './route.ts'
import { cursor } from './values.ts'

const media = 'text/event-stream'

/** Reads the header first: an EventSource that reconnects keeps its URL and sends its position in a header. */
function lastEventId(request: Request): string | undefined {
  return request.headers.get('last-event-id')?.slice(0, 4096) ?? undefined
}

export const streamRoutes: readonly Route[] = [
  streamRoute({
    id: 'streamRun',
    method: 'GET',
    path: 'runs/:runId/stream',
    action: 'runs.read',
    summary: 'Follow the events of a run until it ends. With an Upgrade header, the stream is a WebSocket',
    query: z.strictObject({
      /** The seq of the last event that the client has, or `now`. The header `Last-Event-ID` overrides it. Default 0. */
      after: cursor.optional().describe('The seq of the last event that the client has, or "now"'),
    }),
    answer: z.string(),
    media,
    stream({ params: { runId }, query, request }) {
      const after = lastEventId(request) ?? query.after ?? '0'
      if (after === 'now') return { stream: runId }
      if (/^\d{1,10}$/.test(after) && Number(after) <= MAX_COUNT) return { stream: runId, after: Number(after) }
      throw new QueueError(
        'REQUEST_INVALID',
        `"after" must be the seq of an event, 0 or "now"; got "${after.slice(0, 100)}".`,
      )
    },
  }),
  streamRoute({
    id: 'streamAll',
    method: 'GET',
    path: 'stream',
    action: 'runs.read',
    summary: 'Follow the events of all runs that you may read. With an Upgrade header, the stream is a WebSocket',
    query: z.strictObject({
      /** The cursor of an event, if the store has cursors, or `now`. Default `now`. */
      after: cursor.optional().describe('The cursor of an event, or "now"'),
    }),
    answer: z.string(),
    media,
    async stream({ kernel, query, request }) {
      const after = lastEventId(request) ?? query.after ?? 'now'
      if (after === 'now') return { stream: '*' }
      const events = kernel.port('events')
      if (events.capabilities.globalCursor) {
        // A stream cannot be refused after it has begun.
        const leave = await events.subscribe('*', { after }, () => {})
        await leave()
        return { stream: '*', after }
      }
      const message = 'This store has no cursors over all runs. Omit "after", or follow a single run.'
      throw new QueueError('OPTION_UNSUPPORTED', message)
    },
  }),
]
