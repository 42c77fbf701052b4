const NEWLINE = 0x0a

export interface LineReaderOptions {
  /** How many bytes of a line are kept. */
  max: number
  /** Receives a line without its line break, and the number of bytes that were cut off. */
  onLine(text: string, cut: number): void
  /** Called once for each line that is longer than `max`, as soon as it exceeds it. */
  onOverflow?(): void
}

/** Splits a stream of bytes into lines, with bounded memory for any input. */
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
        // Fast path for the common case: a whole line in one chunk.
        if (kept === 0 && cut === 0 && at - start <= max) onLine(chunk.toString('utf8', start, at), 0)
        else {
          keep(chunk.subarray(start, at))
          end()
        }
        start = at + 1
      }
      if (start < chunk.length) keep(chunk.subarray(start))
    },
    /** Delivers the last line if it has no line break. */
    flush(): void {
      if (kept > 0 || cut > 0) end()
    },
  }
}
