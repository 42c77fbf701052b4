import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { createLineReader } from '../../plugins/runtimes/lib/child-process/lines.ts'

/** Starts a child without this package, with the same framing. */
export function startBareChild(command: string, args: readonly string[]) {
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'], detached: true })
  const channel = child.stdio[3] as Duplex
  const waiting: ((result: unknown) => void)[] = []
  const { push } = createLineReader({
    max: Infinity,
    onLine: (line) => waiting.shift()!((JSON.parse(line) as { result: unknown }).result),
  })
  channel.on('data', push)
  let id = 0
  return {
    roundTrip: (params: unknown): Promise<unknown> =>
      new Promise((resolve) => {
        waiting.push(resolve)
        channel.write(`${JSON.stringify({ jsonrpc: '2.0', id: ++id, method: 'execute', params })}\n`)
      }),
    async close(): Promise<void> {
      channel.end()
      await once(child, 'exit')
    },
  }
}
