import { QueueError, type Kernel } from '../../../../kernel/index.ts'
import type { HttpOptions } from '../options.ts'
import type { StreamEndReason } from './sink.ts'

/** An open stream of any transport. */
export interface OpenStream {
  /** Sends a heartbeat to the client and the proxies in between. */
  ping(): void
  end(reason: StreamEndReason): void
  destroy(): void
}

/** How long a slow client may take to read the rest, or all clients when the process closes, in milliseconds. */
export const CLOSE_GRACE = 5_000

/** All open streams of a process. */
export function createConnections(kernel: Kernel, { maxConnections, heartbeat }: HttpOptions) {
  const open = new Set<OpenStream>()
  let stop: (() => void) | undefined
  let closed = false

  function arm(): void {
    stop = kernel.clock.setTimeout(() => {
      stop = undefined
      for (const connection of open) connection.ping()
      if (open.size > 0) arm()
    }, heartbeat)
  }

  return {
    /** @throws QueueError `CONNECTIONS_FULL`, `KERNEL_CLOSED` */
    assertRoom(): void {
      if (closed) throw new QueueError('KERNEL_CLOSED', 'The kernel is closing or closed. Try another instance.')
      if (open.size < maxConnections) return
      const hint = 'Try again later, or raise http.maxConnections.'
      throw new QueueError('CONNECTIONS_FULL', `All ${maxConnections} streams of this process are in use. ${hint}`, {
        details: { retryAfter: 5_000 },
      })
    },
    add(connection: OpenStream): void {
      open.add(connection)
      if (!stop) arm()
    },
    remove(connection: OpenStream): void {
      open.delete(connection)
      if (open.size > 0) return
      stop?.()
      stop = undefined
    },
    get size() {
      return open.size
    },
    /** Ends all streams. Clients reconnect to another instance. */
    close(): void {
      closed = true
      stop?.()
      for (const connection of open) connection.end('closing')
    },
  }
}
export type OpenStreams = ReturnType<typeof createConnections>
