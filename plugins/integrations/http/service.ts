import type { ServerResponse } from 'node:http'
import type { Kernel, PluginKernel, RunInfo, StoredEvent } from '../../../kernel/index.ts'
import type { AddressLimit } from './address-limit.ts'
import { createApi, type Admission } from './api.ts'
import { createAuditing } from './auditing.ts'
import { createGuard } from './guard.ts'
import type { HttpOptions } from './options.ts'
import { createConnections } from './stream/connections.ts'
import { followInto, type StreamHost } from './stream/follow.ts'
import { createSocketFrames, createSseFrames, type Frames } from './stream/frames.ts'
import { createNodeSink, createWebSink, type Sink } from './stream/sink.ts'
import { visibilityOfAll, visibilityOfRun } from './stream/visibility.ts'

/** The parts that are loaded with the first request. */
export async function createService(kernel: PluginKernel, options: HttpOptions, limit: AddressLimit) {
  const guard = createGuard(kernel, options, limit)
  const connections = createConnections(kernel, options)
  const runOf = createRunLookup(kernel)
  const host: StreamHost = { kernel, options, connections, runOf }
  const sse = createSseFrames()
  const socket = createSocketFrames()

  /** Feeds one client. It checks the access to each run once while the client is connected. */
  function feed({ request, ...stream }: Admission, sink: Sink, frames: Frames): void {
    const { reporter } = kernel
    const mayRead = (runId: string): Promise<boolean> => guard.mayRead(request, { type: 'runs.read', runId })
    const visibility =
      stream.stream === '*'
        ? visibilityOfAll(runOf, mayRead, reporter)
        : visibilityOfRun(stream.stream, runOf, reporter)
    followInto(host, { ...stream, sink, frames, visibility })
  }

  async function stream(
    admission: Admission,
    node: ServerResponse | undefined,
    headers: Record<string, string>,
  ): Promise<Response> {
    connections.assertRoom()
    if (!node) {
      const { sink, response } = createWebSink(headers, admission.request.signal)
      feed(admission, sink, sse)
      return response
    }
    const sink = createNodeSink(node, headers)
    feed(admission, sink, sse)
    const { promise, resolve } = Promise.withResolvers<Response>()
    // The server that forwarded the request ends the response with the result.
    sink.onClose(() => resolve(new Response(null)))
    return promise
  }

  const api = await createApi({ kernel, options, guard, stream, record: createAuditing(kernel, guard) })
  return {
    api,
    connections,
    guard,
    /** Feeds a WebSocket. @throws QueueError `CONNECTIONS_FULL`, `KERNEL_CLOSED` */
    feedSocket(admission: Admission, sink: Sink): void {
      connections.assertRoom()
      feed(admission, sink, socket)
    },
  }
}
export type Service = Awaited<ReturnType<typeof createService>>

/** Shares the lookup of a run among all clients that receive its event in one tick of the event loop. */
function createRunLookup(kernel: Kernel) {
  const asked = new Map<string, Promise<RunInfo | undefined>>()
  return async (runId: string, event?: StoredEvent): Promise<RunInfo | undefined> => {
    if (!event) return kernel.port('events').runs.get(runId)
    const there = asked.get(event.id)
    if (there) return there
    if (asked.size === 0) setImmediate(() => asked.clear())
    const asking = Promise.resolve(kernel.port('events').runs.get(runId))
    asked.set(event.id, asking)
    return asking
  }
}
