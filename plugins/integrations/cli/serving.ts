import { colors } from 'consola/utils'
import { relative } from 'pathe'
import { isReserved, QueueError, type Kernel, type WorkerDefinition } from '../../../kernel/index.ts'
import { signalled } from '../lib/shutdown-signals.ts'
import { parseWhole } from './arguments.ts'
import type { Output } from './output.ts'

/** Where the HTTP interface listens. */
export interface HttpPlace {
  port: number
  host?: string
}

/** The arguments of the commands that can serve HTTP. */
export const httpArgs = {
  http: { type: 'string', valueHint: 'port', description: 'Serve the HTTP interface. Default port: PORT, or 4000' },
  host: { type: 'string', description: 'The address of the HTTP interface. Default: 127.0.0.1' },
} as const

const DEFAULT_PORT = '4000'
const MAX_PORT = 65_535

/** @throws QueueError `OPTION_INVALID` */
export function parseHttp({ http, host }: { http?: unknown; host?: string }): HttpPlace | undefined {
  if (http === undefined) {
    if (host === undefined) return undefined
    throw new QueueError('OPTION_INVALID', '--host needs --http, which is missing.')
  }
  // `--http` without a port has no value.
  const given = typeof http === 'string' && http !== '' ? http : (process.env.PORT ?? DEFAULT_PORT)
  const port = parseWhole('http', given)!
  if (port <= MAX_PORT) return { port, host }
  throw new QueueError('OPTION_INVALID', `--http takes a port up to ${MAX_PORT}; got "${given}".`)
}

/** Serves the HTTP interface, and returns its address. @throws Error `EADDRINUSE`, with the option that chooses another port */
export async function serveHttp(kernel: Kernel, place: HttpPlace): Promise<string> {
  try {
    return (await kernel.http.listen(place)).url
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    const message = `Port ${place.port} is in use by another process. Choose another one, such as --http ${place.port + 1}.`
    throw Object.assign(new Error(message, { cause: error }), { code: 'EADDRINUSE' })
  }
}

/** Waits for a signal, then closes the kernel; a second signal does not wait for running jobs. */
export async function closeOnSignal(kernel: Kernel, stop: Promise<NodeJS.Signals>, output: Output): Promise<void> {
  const signal = await stop
  output.line(`${signal}: closing after running jobs have ended. Send it again to stop at once.`)
  void signalled().then(() => process.exit(130))
  await kernel.close()
}

/** Prints that the process is ready, with its workers and its address. */
export function announce(
  { registry, http }: Kernel,
  { command, cwd, facts, url }: { command: string; cwd: string; facts?: object; url?: string },
  output: Output,
): void {
  const own = registry.workers.filter(({ queue }) => !isReserved('queue', queue.name))
  const workers = own.map((worker) => describe(worker, cwd))
  if (output.json) return output.value({ pid: process.pid, cwd, ...facts, ...(url !== undefined && { url }), workers })
  output.line(`${colors.bold(`nuxt-queue ${command}`)} ${colors.dim(`pid ${process.pid} in ${cwd}`)}`)
  if (url !== undefined) {
    output.line(`  dashboard ${url}${http.path}ui/`)
    output.line(`  API       ${url}${http.path}api/`)
  }
  if (workers.length === 0) output.line('No workers yet. Add one to server/queues/, or set registry.dirs.')
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
