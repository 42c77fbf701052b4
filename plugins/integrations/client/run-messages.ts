import { at } from './at.ts'

/** A query or an update, with the JSON Schema of its input if it has one. */
interface MessageView {
  name: string
  input?: Record<string, unknown>
}
export interface RunMessages {
  flow: string
  queries: MessageView[]
  updates: MessageView[]
}

/** Returns the methods that talk to a run of a flow. */
export function runMessagesOf(
  get: <T>(path: string) => Promise<T>,
  post: <T>(path: string, body: object) => Promise<T>,
) {
  return {
    /** Lists the queries and updates of the flow of a run. */
    messages: (runId: string) => get<RunMessages>(at`runs/${runId}/messages`),
    /** Computes a query of a run. */
    query: async <T = unknown>(runId: string, query: string, input?: unknown) =>
      (await post<{ result: T }>(at`runs/${runId}/queries/${query}`, { input })).result,
    /**
     * Changes a run with one of its updates, and returns the response.
     *
     * @param options.id a repeated call with the same id has no effect, and returns the response of the first call
     */
    update: async <T = unknown>(runId: string, update: string, input?: unknown, { id }: { id?: string } = {}) =>
      (await post<{ result: T }>(at`runs/${runId}/updates/${update}`, { input, id })).result,
    /** Sends a signal to a run. */
    signal: (runId: string, signal: string, payload?: unknown, { id }: { id?: string } = {}) =>
      post<{ changed: boolean }>(at`runs/${runId}/signals/${signal}`, { payload, id }),
  }
}
