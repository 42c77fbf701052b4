import type { Readable, Writable } from 'node:stream'

/** The channel rests while this many calls of the context are under way. */
const MAX_CALLS = 256

export interface InboxOptions {
  input: Readable
  output: Writable
  /** The channel rests while the child has left this many bytes unread. */
  maxUnread: number
  receive(line: string): void
}

/**
 * Hands on what a child says as long as there is room for what that causes: calls that are carried out, and answers
 * that the child has not read. Lines that came in the same piece wait here, the others in the pipe.
 */
export function createInbox({ input, output, maxUnread, receive }: InboxOptions) {
  const lines: string[] = []
  let underWay = 0
  const isFull = (): boolean => underWay >= MAX_CALLS || output.writableLength > maxUnread

  function handOn(line: string): void {
    receive(line)
    if (isFull()) input.pause()
  }

  function goOn(): void {
    while (lines.length > 0 && !isFull()) handOn(lines.shift()!)
    if (!isFull() && input.isPaused()) input.resume()
  }
  output.on('drain', goOn)

  return {
    take(line: string): void {
      if (lines.length > 0 || isFull()) lines.push(line)
      else handOn(line)
    },
    /** Counts a call until it has been carried out. */
    async counted<T>(called: Promise<T>): Promise<T> {
      underWay++
      try {
        return await called
      } finally {
        underWay--
        goOn()
      }
    },
  }
}
