import { z } from 'zod'
import { QueueError } from '../../../kernel/index.ts'
import { streamRoute, type Route } from './route.ts'

const media = 'text/event-stream'

/** An EventSource that connects again keeps the URL it began with and tells in a header where it stands. */
function lastEventId(request: Request): string | undefined {
  return request.headers.get('last-event-id') ?? undefined
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
      after: z.string().optional(),
    }),
    answer: z.string(),
    media,
    stream({ params: { runId }, query, request }) {
      const after = lastEventId(request) ?? query.after ?? '0'
      if (after === 'now') return { stream: runId }
      if (/^\d{1,15}$/.test(after)) return { stream: runId, after: Number(after) }
      throw new QueueError('REQUEST_INVALID', `"after" is the seq of an event, 0 or "now"; got "${after}".`)
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
      after: z.string().min(1).optional(),
    }),
    answer: z.string(),
    media,
    stream({ kernel, query, request }) {
      const after = lastEventId(request) ?? query.after ?? 'now'
      if (after === 'now') return { stream: '*' }
      if (kernel.port('events').capabilities.globalCursor) return { stream: '*', after }
      const message = 'This store has no cursor over all runs. Leave "after" out, or follow one run.'
      throw new QueueError('OPTION_UNSUPPORTED', message)
    },
  }),
]
