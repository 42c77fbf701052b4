import { AsyncLocalStorage } from 'node:async_hooks'
import { stripVTControlCharacters } from 'node:util'
import { createKernel } from 'nuxt-queue'
import { dev, loadQueueConfig } from 'nuxt-queue/presets'
import { main } from '../../plugins/integrations/cli/main.ts'
import type { Finished } from './processes.ts'

const HOST = { createKernel, loadQueueConfig, memory: async () => dev }

/** The output of each command. Several commands may run at once. */
const written = new AsyncLocalStorage<{ stdout: string; stderr: string }>()
for (const name of ['stdout', 'stderr'] as const) {
  const stream = process[name]
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    const output = written.getStore()
    if (!output) return write(chunk, ...rest)
    output[name] += String(chunk)
    return true
  }
}

/** Runs a command of `nuxt-queue` to its end in this process, because a new process takes half a second to start. */
export function cli(args: readonly string[], cwd: string): Promise<Finished> {
  const output = { stdout: '', stderr: '' }
  return written.run(output, async () => {
    const code = await main([...args, '--cwd', cwd], HOST, 'of the tests')
    const [stdout, stderr] = [output.stdout, output.stderr].map(stripVTControlCharacters) as [string, string]
    return { code, stdout, stderr }
  })
}

/** Runs a command with `--json` and returns its value. */
export async function cliJson(args: readonly string[], cwd: string): Promise<unknown> {
  const { stdout } = await cli([...args, '--json'], cwd)
  return JSON.parse(stdout)
}
