import type { AnyPlugin, CloseReport, Kernel, MaybePromise } from '../contracts/index.ts'
import type { PluginKernel, Teardown, WorkerDefinition } from '../contracts/index.ts'
import { checkDuration, checkKeys } from './bounds.ts'
import { systemClock, timerDelay } from './clock.ts'
import { isQueueError, QueueError, toError } from './errors.ts'
import type { createHookBus } from './hooks.ts'
import { parseOptions, pluginRank } from './plugins.ts'
import type { PortTable } from './port-table.ts'
import type { Runner } from './runner.ts'
import { kernelScope } from './use.ts'

/** The time limit of a store for the last writes when the kernel closes, in milliseconds. */
const FINAL_WRITES = 5000
/** The shortest time for a teardown, in milliseconds, when earlier teardowns have used up the limit. */
const MIN_TEARDOWN = 500

/** Sets plugins up in order and tears them down in reverse. @param inner the kernel as plugins see it */
export function createLifecycle(
  kernel: Kernel,
  inner: PluginKernel,
  bus: ReturnType<typeof createHookBus>,
  ports: PortTable,
  runner: Runner,
) {
  const teardowns: { plugin: string; teardown: Teardown }[] = []
  const ready: string[] = []
  const watchers: ((worker: WorkerDefinition) => MaybePromise<void>)[] = []
  const stoppers: ((worker: WorkerDefinition) => void)[] = []
  let started = false
  let closed = false
  let starting: Promise<void> | undefined
  let closing: Promise<CloseReport> | undefined
  /** The time limit of each setup, in milliseconds. */
  let setupLimit = kernel.config.setupTimeout
  const extendSetup = (ms: number): void => void (setupLimit = Math.max(setupLimit, ms))

  async function setup(plugins: readonly AnyPlugin[]): Promise<void> {
    try {
      for (const plugin of plugins) await setUp(plugin)
    } catch (error) {
      await tearDown()
      throw error
    }
  }

  async function setUp(plugin: AnyPlugin): Promise<void> {
    const { name, requires = [] } = plugin
    const missing = requires.find((need) => !ready.includes(need) && !ports.hasPort(need))
    if (missing !== undefined) {
      const message = `Plugin "${name}" requires "${missing}", which no plugin before it provides`
      throw new QueueError('PLUGIN_REQUIRES', `${message}: ${ready.join(', ') || 'none'}.`, { plugin: name })
    }
    const options = (await parseOptions(plugin, kernel.config)) as never
    const setting = kernelScope(kernel, async () => plugin.setup(facade(plugin), options))
    const teardown = await withinLimit(name, setting).catch((error: unknown) => {
      undoLate(name, setting)
      throw error
    })
    if (teardown) teardowns.push({ plugin: name, teardown })
    ready.push(name)
    if (ports.hasPort('clock')) Object.assign(kernel, { clock: ports.port('clock') })
  }

  /** Returns the kernel for one plugin. Hooks and ports that are registered through it carry the name and the rank of the plugin. */
  function facade(plugin: AnyPlugin): PluginKernel {
    const hook: Kernel['hook'] = (name, handler, options) =>
      bus.hook(name, { ...options, handler, plugin: plugin.name, rank: pluginRank(plugin) })
    const provide: Kernel['provide'] = (port, implementation) => ports.provide(port, implementation, plugin.name)
    return Object.assign(Object.create(inner) as PluginKernel, { hook, provide, extendSetup })
  }

  async function withinLimit<T>(plugin: string, setting: Promise<T>): Promise<T> {
    const timeout = Promise.withResolvers<never>()
    let timer: NodeJS.Timeout, late: QueueError | undefined
    const wait = (ms: number): void => {
      timer = setTimeout(() => {
        if (ms < setupLimit) return wait(setupLimit)
        const message = `Plugin "${plugin}" was not set up within ${ms} ms. Raise setupTimeout, or find out what the plugin waits for.`
        timeout.reject((late = new QueueError('PLUGIN_SETUP_TIMEOUT', message, { plugin })))
      }, timerDelay(ms))
    }
    wait(setupLimit)
    try {
      return await Promise.race([setting, timeout.promise])
    } catch (cause) {
      if (cause === late) throw late
      const failure = `Plugin "${plugin}" failed in its setup: ${toError(cause).message}`
      // An error with a code keeps its code, so that callers can act on it, for example on `STORE_LOCKED`.
      if (!isQueueError(cause)) throw new QueueError('PLUGIN_SETUP_FAILED', failure, { cause, plugin })
      throw new QueueError(cause.code, failure, { cause, plugin, details: cause.details })
    } finally {
      clearTimeout(timer!)
    }
  }

  /** Undoes a setup that completes after its time limit. Otherwise the connections it opened would keep the process alive. */
  function undoLate(plugin: string, setting: Promise<Teardown | void>): void {
    const undone = setting.then(
      async (teardown) => teardown?.(),
      () => {},
    )
    undone.catch((error: unknown) => kernel.reporter.error(`Plugin "${plugin}" failed in its teardown.`, error))
  }

  async function startWorker(worker: WorkerDefinition): Promise<void> {
    await ports.runtimeOf(worker).prepare?.(worker)
    // Each watcher runs before the worker claims a job, so a watcher can refuse the worker.
    for (const watcher of watchers) await watcher(worker)
    const claims = { concurrency: worker.claims ?? worker.worker.concurrency }
    await ports.port('workers').registerWorker(worker.queue.name, worker.name, runner.process, claims)
  }

  function announceStop(worker: WorkerDefinition): void {
    for (const stopper of stoppers) stopper(worker)
  }

  async function stopWorker(worker: WorkerDefinition): Promise<void> {
    announceStop(worker)
    await ports.port('workers').unregisterWorker(worker.queue.name, worker.name)
  }

  /** Starts a worker that may replace another worker. If the start fails, the replaced worker is restored. */
  async function addWorker(worker: WorkerDefinition, replaced?: WorkerDefinition): Promise<void> {
    const samePlace = replaced?.queue.name === worker.queue.name && replaced.name === worker.name
    if (replaced) announceStop(replaced)
    try {
      await startWorker(worker)
    } catch (error) {
      if (samePlace) announceStop(worker)
      else await stopWorker(worker)
      if (replaced) await startWorker(replaced)
      throw error
    }
    if (replaced && !samePlace) await ports.port('workers').unregisterWorker(replaced.queue.name, replaced.name)
  }

  async function startAll(): Promise<void> {
    assertOpen()
    started = true
    for (const worker of kernel.registry.workers) await startWorker(worker)
  }

  /** The time limit of all teardowns together is `setupTimeout`. A plugin whose store is unavailable is abandoned. */
  async function tearDown(): Promise<void> {
    const deadline = performance.now() + kernel.config.setupTimeout
    for (const { plugin, teardown } of teardowns.splice(0).toReversed()) {
      const ms = Math.max(MIN_TEARDOWN, Math.ceil(deadline - performance.now()))
      try {
        if (await isWithin(ms, (async () => teardown())())) continue
        kernel.reporter.warn(`Plugin "${plugin}" was not torn down within ${ms} ms and is abandoned.`)
      } catch (error) {
        kernel.reporter.error(`Plugin "${plugin}" failed in its teardown.`, error)
      }
    }
  }

  async function closeAll(timeout: number): Promise<CloseReport> {
    const deadline = performance.now() + timeout
    if (starting) await isWithin(Math.max(timeout, FINAL_WRITES), starting).catch(() => {})
    if (ports.hasPort('workers')) await stopWorkers(timeout)
    const settled = (): Promise<unknown> => Promise.allSettled(runner.running.map(({ settling }) => settling))
    // A queue may close as soon as the outcome of a job is stored. Its attempt ends a little later, when hooks have returned.
    await isWithin(Math.max(0, deadline - performance.now()), settled())
    const left = [...runner.running]
    const reason = new QueueError('JOB_RELEASED', `The kernel closes and has waited ${timeout} ms for this job.`)
    for (const attempt of left) attempt.signalAbort(reason)
    const settling = settled()
    await isWithin(left.length > 0 ? kernel.config.abortGrace : 0, settling)
    for (const attempt of left) attempt.abort(reason)
    await isWithin(FINAL_WRITES, settling)
    runner.close()
    closed = true
    await tearDown()
    const aborted = left.map(({ job: { queue, name, id, runId } }) => ({ queue, name, id, runId }))
    const list = aborted.map(({ name, id }) => `${name} (${id})`).join(', ')
    if (list) kernel.reporter.warn(`Closed after ${timeout} ms with jobs running. Aborted: ${list}.`)
    return { aborted }
  }

  async function stopWorkers(timeout: number): Promise<void> {
    try {
      if (await isWithin(timeout + FINAL_WRITES, ports.port('workers').closeAll({ timeout }))) return
      kernel.reporter.warn(`The queues could not be closed within ${timeout + FINAL_WRITES} ms. Is the store down?`)
    } catch (error) {
      kernel.reporter.error('The queues could not be closed.', error)
    }
  }

  /** While the kernel closes, running jobs may still enqueue. */
  function assertOpen(): void {
    if (!closed && (!closing || runner.running.length > 0)) return
    throw new QueueError('KERNEL_CLOSED', 'The kernel is closing or closed. Create a new one.')
  }

  return {
    setup,
    assertOpen,
    start: () => (starting ??= startAll()),
    close: (options: { timeout?: number } = {}) => (closing ??= closeAll(closeTimeout(options))),
    onWorkerStart: (watcher: (typeof watchers)[number]) => void watchers.push(watcher),
    onWorkerStop: (stopper: (typeof stoppers)[number]) => void stoppers.push(stopper),
    workerAdded: async (worker: WorkerDefinition, replaced?: WorkerDefinition): Promise<void> => {
      if (started) await addWorker(worker, replaced)
    },
    workerRemoved: async (worker: WorkerDefinition): Promise<void> => {
      if (started) await stopWorker(worker)
    },
  }
}

/** @throws QueueError `OPTION_INVALID` */
function closeTimeout(options: { timeout?: number }): number {
  checkKeys('kernel.close()', options, ['timeout'])
  const { timeout = 10_000 } = options
  // Adapters pass it to timers of Node.
  return timeout === Infinity ? timeout : timerDelay(checkDuration('Option "timeout" of kernel.close()', timeout))
}

/** Resolves with true when a promise settles in time. Shutdown uses real time, even if jobs use another clock. */
async function isWithin(ms: number, settling: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const stop = ms === Infinity ? () => {} : systemClock.setTimeout(() => late.resolve(false), ms)
  try {
    return await Promise.race([settling.then(() => true), late.promise])
  } finally {
    stop()
    settling.catch(() => {})
  }
}
