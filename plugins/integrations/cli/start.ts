import { definePlugin, QueueError, type Kernel } from '../../../kernel/index.ts'
import { signalled } from '../lib/shutdown-signals.ts'
import { workerSwitch } from '../lib/worker-switch.ts'
import { createAnswers } from './answers.ts'
import { configOf, type Host, type LoadedConfig } from './backend.ts'
import { reporter, type Output } from './output.ts'
import { serve } from './server.ts'
import { announce, closeOnSignal, serveHttp, type HttpPlace } from './serving.ts'

export interface StartCommandOptions {
  /** False if this process runs no jobs, regardless of its configuration. */
  worker: boolean
  http?: HttpPlace
}

/** Runs the workers of a folder, or serves HTTP, until SIGINT or SIGTERM. A second signal does not wait for running jobs. */
export async function runStart(
  host: Host,
  cwd: string,
  output: Output,
  { worker, http }: StartCommandOptions,
): Promise<void> {
  const stop = signalled()
  // This command always runs in production mode, regardless of NODE_ENV.
  const given = await configOf(host, cwd)
  const config: LoadedConfig = { ...given, http: { ...given.http, production: true } }
  const works = worker && (workerSwitch(process.env) ?? config.worker ?? true)
  if (!works && !http) {
    throw new QueueError('OPTION_INVALID', 'A process that runs no workers needs --http.')
  }
  const closed = Promise.withResolvers<void>()
  const notice = definePlugin({ name: 'start', setup: () => () => closed.resolve() })
  let state: 'starting' | 'started' | 'stopping' = 'starting'
  void stop.then(() => {
    // Nothing runs yet. A process may wait here for its store for a long time.
    if (state === 'starting') process.exit(130)
    state = 'stopping'
  })
  const kernel = await host.createKernel({ config, plugins: [notice], reporter, production: true })
  state = 'started'
  let socket: Awaited<ReturnType<typeof serve>> | undefined
  let url: string | undefined
  try {
    if (isAlone(kernel)) socket = await serve(cwd, createAnswers(kernel, cwd))
    if (works) await kernel.start()
    if (http) url = await serveHttp(kernel, http)
    announce(kernel, { command: 'start', cwd, facts: { started: works }, url }, output)
    await Promise.race([closeOnSignal(kernel, stop, output), closed.promise])
    // What starts this process again sees that it has failed, and the next process says which store to use.
    if ((state as string) !== 'stopping') throw new QueueError('STORE_MOVED', 'This process has left its store.')
  } finally {
    await socket?.close()
    await kernel.close()
  }
}

/** Serves the socket if no other process can open the store, so that commands can ask this process. */
function isAlone(kernel: Kernel): boolean {
  return !kernel.port('queue').capabilities.shared
}
