/** One event of a server-sent event stream. */
export interface SseFrame {
  /** The value of its `event:` line, or `message` without one. */
  event: string
  /** The data. It is absent in a frame without data, which may still have an id. */
  data: string | undefined
  /** The value of its `id:` line. Unlike in a browser, it does not carry over from an earlier frame. */
  id: string | undefined
  /** The value of its `retry:` line, in milliseconds. */
  retry: number | undefined
}

/** Splits the bytes of an event stream into frames, wherever chunks end. An incomplete frame is ignored. */
export function createSseParser(): (bytes: Uint8Array) => SseFrame[] {
  // The decoder also drops a byte order mark, and joins characters that chunks split.
  const decoder = new TextDecoder()
  let rest = ''
  let halved = false
  let event = ''
  let data: string | undefined
  let id: string | undefined
  let retry: number | undefined

  function take(line: string): void {
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'event') event = value
    else if (field === 'data') data = data === undefined ? value : `${data}\n${value}`
    else if (field === 'id' && !value.includes('\0')) id = value
    else if (field === 'retry' && /^\d+$/.test(value)) retry = Number(value)
  }

  return (bytes) => {
    let news = decoder.decode(bytes, { stream: true })
    if (news === '') return []
    // The second half of a line end that two chunks split.
    if (halved && news.startsWith('\n')) news = news.slice(1)
    halved = news.endsWith('\r')
    const text = rest + news
    const frames: SseFrame[] = []
    let start = 0
    const ends = /\r\n|\r|\n/g
    for (let end = ends.exec(text); end; end = ends.exec(text)) {
      if (end.index > start) take(text.slice(start, end.index))
      else {
        if ((data ?? id ?? retry) !== undefined)
          frames.push({ event: event === '' ? 'message' : event, data, id, retry })
        event = ''
        data = id = retry = undefined
      }
      start = ends.lastIndex
    }
    rest = text.slice(start)
    return frames
  }
}
