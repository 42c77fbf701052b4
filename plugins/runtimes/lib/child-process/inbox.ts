import type { Readable, Writable } from 'node:stream'

/** Reading stops while this many context calls are running. */
const MAX_CALLS = 256

export interface InboxOptions {
  input: Readable
  output: Writable
  /** Reading stops while the child has left this many bytes unread. */
  maxUnread: number
  receive(line: string): void
}

/**
 * Delivers the lines of a child, and stops reading while too many calls are running or too many responses are unread.
 * Lines that have already been read wait in this queue, and later lines wait in the pipe.
 */
export function createInbox({ input, output, maxUnread, receive }: InboxOptions) {
  const lines: string[] = []
  let runningCalls = 0
  const isFull = (): boolean => runningCalls >= MAX_CALLS || output.writableLength > maxUnread

  function deliver(line: string): void {
    receive(line)
    if (isFull()) input.pause()
  }

  function resume(): void {
    while (lines.length > 0 && !isFull()) deliver(lines.shift()!)
    if (!isFull() && input.isPaused()) input.resume()
  }
  output.on('drain', resume)

  return {
    push(line: string): void {
      if (lines.length > 0 || isFull()) lines.push(line)
      else deliver(line)
    },
    /** Counts a call as running until it settles. */
    async trackCall<T>(call: Promise<T>): Promise<T> {
      runningCalls++
      try {
        return await call
      } finally {
        runningCalls--
        resume()
      }
    },
  }
}
