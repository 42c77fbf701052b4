import { colors } from 'consola/utils'
import { relative } from 'pathe'
import { isQueueError, type Kernel, type WorkerDefinition } from '../../kernel/index.ts'
import { configOf, type Host } from './backend.ts'
import cli, { followTimeline } from './index.ts'
import { reporter, type Output } from './output.ts'
import { socketPath } from './socket-path.ts'

/** Runs the workers of a folder until SIGINT or SIGTERM; a second signal does not wait for running jobs. */
export async function runDev(host: Host, cwd: string, output: Output): Promise<void> {
  const stop = signalled()
  const config = await configOf(host, cwd)
  const registry = { ...config.registry, watch: true }
  const kernel = await host
    .createKernel({ config: { ...config, registry, cli: { cwd } }, plugins: [cli], reporter })
    .catch((error: unknown) => {
      throw isQueueError(error, 'PLUGIN_SETUP_FAILED') && error.plugin === cli.name ? error.cause : error
    })
  try {
    if (!output.json) await followTimeline(kernel.port('events'), '*', output.line)
    await kernel.start()
  } catch (error) {
    await kernel.close()
    throw error
  }
  announce(kernel, cwd, output)
  const known = new Set(kernel.registry.workers.map(({ id }) => id))
  kernel.onWorkerStart(({ id }) => {
    output.line(`${colors.green('↺')} ${colors.bold(id)} ${known.has(id) ? 'loaded again' : 'loaded'}`)
    known.add(id)
  })
  const signal = await stop
  output.line(`${signal}: closing, once running jobs are done. Again to stop at once.`)
  void signalled().then(() => process.exit(130))
  await kernel.close()
}

function announce({ registry }: Kernel, cwd: string, output: Output): void {
  const own = registry.workers.filter(({ queue }) => !queue.name.startsWith('_'))
  const workers = own.map((worker) => describe(worker, cwd))
  if (output.json) return output.value({ pid: process.pid, cwd, socket: socketPath(cwd), workers })
  output.line(`${colors.bold('nuxt-queue dev')} ${colors.dim(`pid ${process.pid} in ${cwd}`)}`)
  if (workers.length === 0) output.line('No workers yet. Put one into server/queues/, or set registry.dirs.')
  const width = Math.max(...workers.map(({ id }) => id.length))
  for (const { id, queue, flow, file } of workers) {
    const role = flow.map((place) => `  ${place.role} of flow ${place.name}`).join('')
    output.line(
      `  ${colors.bold(id.padEnd(width))}  queue ${queue}${role}  ${colors.dim(file ?? 'registered by code')}`,
    )
  }
}

function describe({ id, name, queue, worker, absPath }: WorkerDefinition, cwd: string) {
  const places = worker.flow === undefined ? [] : [worker.flow].flat()
  const flow = places.map(({ name: flows, role }) => ({ name: [flows].flat().join(', '), role }))
  return { id, name, queue: queue.name, flow, file: absPath && relative(cwd, absPath) }
}

function signalled(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  const signals = ['SIGINT', 'SIGTERM'] as const
  const heard = (signal: NodeJS.Signals): void => {
    for (const name of signals) process.off(name, heard)
    resolve(signal)
  }
  for (const name of signals) process.on(name, heard)
  return promise
}
