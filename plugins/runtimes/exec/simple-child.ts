import type { Readable } from 'node:stream'
import { QueueError, type RunContext } from '../../../kernel/index.ts'
import { watchAbort } from '../lib/child-process/abort.ts'
import { tooLarge, type Child } from '../lib/child-process/child.ts'
import { exitError } from '../lib/child-process/exit-error.ts'
import type { SpawnRequest } from '../lib/child-process/host.ts'
import { createOutputLog } from '../lib/child-process/output.ts'
import { readUsage } from '../lib/child-process/usage.ts'
import { jobVariables } from '../lib/child-process/variables.ts'
import { decodeJson, encodeJson } from '../../lib/json.ts'

/** Creates a child for a program that does not speak the protocol. It is started for one job, and reads and prints JSON. */
export function createSimpleChild({ worker, options, maxMessage, facts, spawn }: SpawnRequest): Child {
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
    const printed = createOutputLog(options.maxOutput)
    printed.follow(stderr, 'stderr')
    printed.begin(ctx)
    const record = (): void => void facts.set(ctx, { pid, ...readUsage(pid) })
    const unwatch = watchAbort(ctx.signal, {
      record,
      // A signal is the only way to stop such a program.
      cancel: () => spawned.terminate(options.killGrace),
      terminate: () => {},
      grace: 0,
    })
    stdin!.end(`${encodeJson(ctx.job.data)}\n`)
    const readOutput = collect(stdout, maxMessage, () => spawned.kill())
    stdout.once('end', record)
    try {
      const exit = await exited
      await printed.end()
      const text = readOutput()
      if (text === undefined) throw tooLarge(worker.id, maxMessage)
      if (exit.code !== 0) throw exitError(worker.id, exit, printed.tail())
      return parseResult(worker.id, text)
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

/** Collects a stream up to a limit. Returns a function that returns its text, or `undefined` if it was too long. */
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

function parseResult(worker: string, text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return decodeJson(text)
  } catch (cause) {
    const received = text.length > 200 ? `${text.slice(0, 200)}…` : text
    const hint = 'Print one JSON value to stdout, and everything else to stderr.'
    throw new QueueError('PROTOCOL_VIOLATION', `Worker "${worker}" printed invalid JSON: ${received} ${hint}`, {
      cause,
    })
  }
}
