import type { Readable } from 'node:stream'
import type { RunContext } from '../../../../kernel/index.ts'
import { createLineReader } from './lines.ts'

/** A longer line is cut, and says so. */
const MAX_LINE = 16 * 1024
/** How many of the last lines on stderr a failure tells. */
const TAIL_LINES = 20
/** Lines printed between jobs, which the next one gets. */
const MAX_EARLY = 100
/** The stream rests while this many lines wait to be stored. */
const MAX_PENDING = 64

type StreamName = 'stdout' | 'stderr'
interface Line {
  stream: StreamName
  text: string
}

/**
 * What a child prints, as entries of its job's log.
 *
 * @param limit characters a job may print; what is beyond is counted, and the log says how much it was
 */
export function createOutput(limit: number) {
  const readers: { stream: Readable; flush(): void }[] = []
  const tail: string[] = []
  const early: Line[] = []
  let ctx: RunContext | undefined
  let printed = 0
  let dropped = 0
  /** Of what was printed between jobs. */
  let missed = 0
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
    // With its end, so that empty lines are not free.
    const length = entry.text.length + 1
    if (!ctx) return void (early.length < MAX_EARLY ? early.push(entry) : (missed += length))
    printed += length
    if (printed > limit) dropped += length
    else store(ctx, entry.stream === 'stderr' ? 'warn' : 'info', entry.text, { stream: entry.stream })
  }

  function store(to: RunContext, level: 'info' | 'warn', message: string, meta: object): void {
    pending++
    to.logger.log(level, message, meta).then(stored, stored)
  }

  function stored(): void {
    if (--pending >= MAX_PENDING) return
    for (const { stream } of readers) if (stream.isPaused()) stream.resume()
    if (pending === 0) drained?.()
  }

  const busy = (): boolean => pending > 0

  return {
    follow,
    /** The last lines on stderr. */
    tail: (): readonly string[] => tail,
    /** From now on what is printed belongs to this job. */
    begin(job: RunContext): void {
      ctx = job
      printed = 0
      dropped = missed
      missed = 0
      for (const entry of early.splice(0)) line(entry)
    },
    /**
     * Waits for what the job has printed before it answered. That lies in the pipes, so it arrives in
     * the turn of the event loop in which the answer does, unless a stream rests.
     */
    async end(): Promise<void> {
      await new Promise((resolve) => void setImmediate(resolve))
      while (busy()) {
        await new Promise<void>((resolve) => void (drained = resolve))
        await new Promise((resolve) => void setImmediate(resolve))
      }
      for (const { flush } of readers) flush()
      if (dropped > 0) {
        const message = `${dropped} characters of output were left out: a job may print ${limit}, and ${MAX_EARLY} lines before it begins.`
        store(ctx!, 'warn', message, { dropped })
      }
      ctx = undefined
    },
  }
}
