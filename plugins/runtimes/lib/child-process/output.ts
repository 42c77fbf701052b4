import type { Readable } from 'node:stream'
import type { RunContext } from '../../../../kernel/index.ts'
import { createLineReader } from './lines.ts'

/** How many bytes of a line are kept. A cut line is marked. */
const MAX_LINE = 16 * 1024
/** How many of the last lines of stderr an error contains. */
const TAIL_LINES = 20
/** How many lines printed between two jobs are kept for the log of the next job. */
const MAX_EARLY = 100
/** Reading stops while this many lines wait to be stored. */
const MAX_PENDING = 64

type StreamName = 'stdout' | 'stderr'
interface Line {
  stream: StreamName
  text: string
}

/**
 * Stores what a child prints in the log of its job.
 *
 * @param limit how many characters a job may print. Further characters are dropped, and the log says how many
 */
export function createOutputLog(limit: number) {
  const readers: { stream: Readable; flush(): void }[] = []
  const tail: string[] = []
  const early: Line[] = []
  let ctx: RunContext | undefined
  let printed = 0
  let dropped = 0
  /** Characters printed between two jobs that were dropped. */
  let droppedEarly = 0
  let pending = 0
  let drained: (() => void) | undefined

  function follow(stream: Readable, name: StreamName): void {
    const { push, flush } = createLineReader({
      max: MAX_LINE,
      onLine: (text, cut) => line({ stream: name, text: cut > 0 ? `${text}… (${cut} more bytes)` : text }),
    })
    stream.on('data', (chunk: Buffer) => {
      push(chunk)
      if (pending >= MAX_PENDING) stream.pause()
    })
    stream.on('end', flush)
    stream.on('error', () => {})
    readers.push({ stream, flush })
  }

  function line(entry: Line): void {
    if (entry.stream === 'stderr' && tail.push(entry.text) > TAIL_LINES) tail.shift()
    // Includes the line break, so that empty lines count too.
    const length = entry.text.length + 1
    if (!ctx) return void (early.length < MAX_EARLY ? early.push(entry) : (droppedEarly += length))
    printed += length
    if (printed > limit) dropped += length
    else store(ctx, entry.stream === 'stderr' ? 'warn' : 'info', entry.text, { stream: entry.stream })
  }

  function store(to: RunContext, level: 'info' | 'warn', message: string, meta: object): void {
    pending++
    to.logger.log(level, message, meta).then(onStored, onStored)
  }

  function onStored(): void {
    if (--pending >= MAX_PENDING) return
    for (const { stream } of readers) if (stream.isPaused()) stream.resume()
    if (pending === 0) drained?.()
  }

  const busy = (): boolean => pending > 0

  return {
    follow,
    /** Returns the last lines of stderr. */
    tail: (): readonly string[] => tail,
    /** Assigns all further output to a job. */
    begin(job: RunContext): void {
      ctx = job
      printed = 0
      dropped = droppedEarly
      droppedEarly = 0
      for (const entry of early.splice(0)) line(entry)
    },
    /**
     * Waits for the output that the job printed before its response. That output is already in the pipes, so it
     * arrives in the same turn of the event loop as the response, unless a stream is paused.
     */
    async end(): Promise<void> {
      await new Promise((resolve) => void setImmediate(resolve))
      while (busy()) {
        await new Promise<void>((resolve) => void (drained = resolve))
        await new Promise((resolve) => void setImmediate(resolve))
      }
      for (const { flush } of readers) flush()
      if (dropped > 0) {
        const message = `${dropped} characters of output were dropped. A job may print ${limit} characters, and ${MAX_EARLY} lines before it starts.`
        store(ctx!, 'warn', message, { dropped })
      }
      ctx = undefined
    },
  }
}
