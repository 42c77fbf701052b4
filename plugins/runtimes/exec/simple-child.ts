import type { Readable } from 'node:stream'
import { QueueError, type RunContext } from '../../../kernel/index.ts'
import { watchAbort } from '../lib/child-process/abort.ts'
import { tooLarge, type Child } from '../lib/child-process/child.ts'
import { exitError } from '../lib/child-process/exit-error.ts'
import type { Birth } from '../lib/child-process/host.ts'
import { createOutput } from '../lib/child-process/output.ts'
import { readUsage } from '../lib/child-process/usage.ts'
import { jobVariables } from '../lib/child-process/variables.ts'
import { decodeJson, encodeJson } from '../../lib/json.ts'

/** A program that knows nothing of us: started with its job, JSON in, JSON out. */
export function createSimpleChild({ worker, options, maxMessage, facts, spawn }: Birth): Child {
  const ended = Promise.withResolvers<void>()
  let alive = true
  let started = false

  async function execute(ctx: RunContext): Promise<unknown> {
    started = true
    try {
      return await run(ctx)
    } finally {
      alive = false
      ended.resolve()
    }
  }

  async function run(ctx: RunContext): Promise<unknown> {
    const spawned = await spawn(jobVariables(ctx))
    const { pid, stdin, stdout, stderr, exited } = spawned
    const printed = createOutput(options.maxOutput)
    printed.follow(stderr, 'stderr')
    printed.begin(ctx)
    const note = (): void => void facts.set(ctx, { pid, ...readUsage(pid) })
    const unwatch = watchAbort(ctx.signal, {
      note,
      // There is nobody to tell but by a signal.
      cancel: () => spawned.terminate(options.killGrace),
      terminate: () => {},
      grace: 0,
    })
    stdin!.end(`${encodeJson(ctx.job.data)}\n`)
    const answer = collect(stdout, maxMessage, () => spawned.kill())
    stdout.once('end', note)
    try {
      const exit = await exited
      await printed.end()
      const text = answer()
      if (text === undefined) throw tooLarge(worker.id, maxMessage)
      if (exit.code !== 0) throw exitError(worker.id, exit, printed.tail())
      return read(worker.id, text)
    } finally {
      unwatch()
    }
  }

  return {
    ready: Promise.resolve(),
    exited: ended.promise,
    get alive() {
      return alive
    },
    execute,
    stop() {
      if (started) return
      alive = false
      ended.resolve()
    },
  }
}

/** Keeps what comes, up to a limit. Answers how to read it: `undefined` when it was too much. */
function collect(stream: Readable, limit: number, onTooLarge: () => void): () => string | undefined {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > limit) onTooLarge()
    else chunks.push(chunk)
  })
  return () => (size > limit ? undefined : Buffer.concat(chunks).toString())
}

function read(worker: string, text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return decodeJson(text)
  } catch (cause) {
    const came = text.length > 200 ? `${text.slice(0, 200)}…` : text
    const hint = 'Print one JSON value, and everything else on stderr.'
    throw new QueueError('PROTOCOL_VIOLATION', `Worker "${worker}" printed what is not JSON: ${came} ${hint}`, {
      cause,
    })
  }
}
