const NEWLINE = 0x0a

export interface LineReaderOptions {
  /** The most bytes of a line that are kept. */
  max: number
  /** A line without its end, and how many bytes of it were cut off. */
  onLine(text: string, cut: number): void
  /** Once for each line that turns out longer, as soon as it does. */
  onOverflow?(): void
}

/** Cuts a stream of bytes into lines, in bounded memory whatever comes. */
export function createLineReader({ max, onLine, onOverflow }: LineReaderOptions) {
  let parts: Buffer[] = []
  let kept = 0
  let cut = 0

  function keep(part: Buffer): void {
    const room = max - kept
    if (part.length > room) {
      if (cut === 0) onOverflow?.()
      cut += part.length - room
    }
    if (room <= 0) return
    const fits = part.length > room ? part.subarray(0, room) : part
    parts.push(fits)
    kept += fits.length
  }

  function end(): void {
    const text = parts.length === 1 ? parts[0]!.toString() : Buffer.concat(parts).toString()
    const missing = cut
    parts = []
    kept = cut = 0
    onLine(text, missing)
  }

  return {
    push(chunk: Buffer): void {
      let start = 0
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, start)) {
        // The usual case, a whole line in one chunk, is not collected first.
        if (kept === 0 && cut === 0 && at - start <= max) onLine(chunk.toString('utf8', start, at), 0)
        else {
          keep(chunk.subarray(start, at))
          end()
        }
        start = at + 1
      }
      if (start < chunk.length) keep(chunk.subarray(start))
    },
    /** Hands over a last line that has no end. */
    flush(): void {
      if (kept > 0 || cut > 0) end()
    },
  }
}
