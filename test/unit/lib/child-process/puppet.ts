import { PassThrough } from 'node:stream'
import { createChild, type Child } from '../../../../plugins/runtimes/lib/child-process/child.ts'
import { createLineReader } from '../../../../plugins/runtimes/lib/child-process/lines.ts'
import { processOptions } from '../../../../plugins/runtimes/lib/child-process/options.ts'
import type { Exit } from '../../../../plugins/runtimes/lib/child-process/exit-error.ts'
import type { ProcessFacts } from '../../../../plugins/runtimes/lib/child-process/usage.ts'
import { defineWorker, type RunContext } from '../../../../kernel/index.ts'

/**
 * Opens the host's end of a channel whose other end the test controls.
 *
 * @param options.deaf ignores all messages of the host after the handshake
 */
export function openPuppet({ id = 'puppet', maxMessage = 65_536, maxOutput = 1024, deaf = false } = {}) {
  const input = new PassThrough()
  const output = new PassThrough()
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const exit = Promise.withResolvers<Exit>()
  const heard: string[] = []
  const facts = new WeakMap<RunContext, ProcessFacts>()
  let hearing: (() => void) | undefined
  const { push } = createLineReader({
    max: Infinity,
    onLine(line) {
      heard.push(line)
      hearing?.()
    },
  })
  if (!deaf) output.on('data', push)
  const end = (signal: NodeJS.Signals): void => exit.resolve({ code: null, signal })
  const child: Child = createChild(
    {
      pid: process.pid,
      stdin: undefined,
      stdout,
      stderr,
      input,
      output,
      exited: exit.promise,
      terminate: () => end('SIGTERM'),
      kill: () => end('SIGKILL'),
    },
    {
      worker: defineWorker({ id }),
      file: `/workers/${id}`,
      options: processOptions.parse({ maxOutput }),
      maxMessage,
      facts,
    },
  )
  return {
    child,
    output,
    stdout,
    facts,
    exited: exit.promise,
    say: (message: unknown) => void input.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`),
    write: (bytes: Buffer) => void input.write(bytes),
    /** Returns the next message of the host. */
    async hear(): Promise<unknown> {
      while (heard.length === 0) await new Promise<void>((resolve) => void (hearing = resolve))
      return JSON.parse(heard.shift()!)
    },
    async close(): Promise<void> {
      end('SIGKILL')
      await child.exited
    },
  }
}
