import type { UIMessageChunk } from 'ai'
import { isQueueError, type JobRecord, type SerializedError, type StoredEvent } from '../../../../kernel/index.ts'
import { CHUNKS, dataOf } from './chunks.ts'
import type { ChatTurn } from './options.ts'
import type { ChatQueue } from './turns.ts'

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Proxies such as nginx would otherwise buffer events.
  'x-accel-buffering': 'no',
}
const HEARTBEAT = 15_000
/** Servers may not report that a client has left, so a stream ends after this time. Pages reconnect. */
const LIFETIME = 600_000
/** How many frames a client may be behind. It reconnects and continues. */
const MAX_BEHIND = 1_000
const ENDS: readonly string[] = ['step.completed', 'step.failed', 'step.cancelled']

export interface StreamOptions {
  after: number
  signal: AbortSignal
  errorText(error: SerializedError): string
}

/**
 * Streams the answer of a turn as server-sent events: the chunks after an event, then new chunks, then the end. Other events of the run,
 * such as its data and the results of tools for the model, are not sent.
 */
export function streamTurn(queue: ChatQueue, job: JobRecord, { after, signal, errorText }: StreamOptions): Response {
  const { runId } = job
  const { turn } = job.data as ChatTurn
  const encoder = new TextEncoder()
  let controller!: ReadableStreamDefaultController<Uint8Array>
  /** `seq` of the last event that was seen. */
  let last = after
  let over = false
  /** Whether an event that ends the job was seen. */
  let ending = false
  const cleanups: (() => void)[] = []

  function write(frame: string): void {
    if (over) return
    controller.enqueue(encoder.encode(frame))
    if ((controller.desiredSize ?? 0) < -MAX_BEHIND) close()
  }

  function writeChunks(seq: number, chunks: readonly UIMessageChunk[]): void {
    write(`id: ${seq}\ndata: ${JSON.stringify({ runId: turn, seq, type: CHUNKS, data: { chunks } })}\n\n`)
  }

  function stop(): void {
    over = true
    for (const cleanup of cleanups.splice(0)) cleanup()
  }

  function close(): void {
    if (over) return
    stop()
    controller.close()
  }

  function every(ms: number, act: () => void): void {
    const arm = (): (() => void) =>
      queue.clock.setTimeout(() => {
        act()
        if (!over) cancel = arm()
      }, ms)
    let cancel = arm()
    cleanups.push(() => cancel())
  }

  async function onEvents(events: readonly StoredEvent[]): Promise<void> {
    for (const event of events) {
      if (event.stepId !== job.id) continue
      if (event.type === CHUNKS) writeChunks(event.seq, dataOf(event).chunks)
      else if (ENDS.includes(event.type)) ending = true
    }
    last = events.at(-1)!.seq
    if (ending) await endWithRun()
  }

  /** Ends the stream with its run, after all chunks have been written. An operator may have run an ended job again. */
  async function endWithRun(): Promise<void> {
    const run = await queue.port('events').runs.get(runId)
    if (over || !run || run.status === 'running' || run.head > last) return
    const [end] = await queue.port('events').read(runId, { types: ENDS, reverse: true, limit: 1 })
    const { error, reason } = (end?.data ?? {}) as { error?: SerializedError; reason?: string }
    if (error) writeChunks(last, [{ type: 'error', errorText: errorText(error) }])
    else if (run.status === 'cancelled') writeChunks(last, [{ type: 'abort', ...(reason !== undefined && { reason }) }])
    write(`event: end\ndata: ${JSON.stringify({ status: run.status })}\n\n`)
    close()
  }

  async function begin(): Promise<void> {
    const leave = await queue.streams.follow(runId, { after }, { onEvents, onError })
    if (over) return leave()
    cleanups.push(leave)
    // A client that has received the last event asks only for the end.
    await endWithRun()
  }

  function onError(error: unknown): void {
    if (!isQueueError(error, 'KERNEL_CLOSED')) queue.reporter.warn(`The stream of chat job ${job.id} broke off.`, error)
    close()
  }

  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given
      write('retry: 500\n: nuxt-queue\n\n')
      every(HEARTBEAT, () => write(': ping\n\n'))
      cleanups.push(queue.clock.setTimeout(close, LIFETIME))
      if (signal.aborted) return close()
      signal.addEventListener('abort', close, { once: true })
      cleanups.push(() => signal.removeEventListener('abort', close))
      begin().catch(onError)
    },
    cancel: stop,
  })
  return new Response(body, { headers: HEADERS })
}
