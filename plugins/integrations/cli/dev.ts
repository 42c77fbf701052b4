import { colors } from 'consola/utils'
import { isQueueError } from '../../../kernel/index.ts'
import { signalled } from '../lib/shutdown-signals.ts'
import { configOf, type Host } from './backend.ts'
import cli from './index.ts'
import type { LogLevel } from './levels.ts'
import { reporter, type Output } from './output.ts'
import { announce, closeOnSignal, serveHttp, type HttpPlace } from './serving.ts'
import { socketPath } from './socket-path.ts'

/** Runs the workers of a folder until SIGINT or SIGTERM. A second signal does not wait for running jobs. */
export async function runDev(host: Host, cwd: string, output: Output, http?: HttpPlace): Promise<void> {
  const stop = signalled()
  const config = await configOf(host, cwd)
  const registry = { ...config.registry, watch: true }
  const { level = 'debug' } = (config.cli ?? {}) as { level?: LogLevel | 'silent' }
  const kernel = await host
    .createKernel({
      config: { ...config, registry, cli: { cwd, level: output.json ? 'silent' : level } },
      plugins: [cli],
      reporter,
    })
    .catch((error: unknown) => {
      throw isQueueError(error) && error.plugin === cli.name ? (error.cause ?? error) : error
    })
  let url: string | undefined
  try {
    await kernel.start()
    if (http) url = await serveHttp(kernel, http)
  } catch (error) {
    await kernel.close()
    throw error
  }
  announce(kernel, { command: 'dev', cwd, facts: { socket: socketPath(cwd) }, url }, output)
  const known = new Set(kernel.registry.workers.map(({ id }) => id))
  kernel.onWorkerStart(({ id }) => {
    output.line(`${colors.green('↺')} ${colors.bold(id)} ${known.has(id) ? 'reloaded' : 'loaded'}`)
    known.add(id)
  })
  await closeOnSignal(kernel, stop, output)
}
