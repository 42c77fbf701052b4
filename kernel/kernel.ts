import { randomUUID } from 'node:crypto'
import { defu } from 'defu'
import type { AppendResult, CoreConfig, EmitPayload, Kernel, KernelOptions } from '../contracts/index.ts'
import type { MaybePromise, PluginKernel, ResolvedConfig, WorkerInput } from '../contracts/index.ts'
import { systemClock } from './clock.ts'
import { channels, traced } from './channels.ts'
import { checkAppend } from './check-append.ts'
import { checkCoreConfig, checkKernelOptions } from './config-check.ts'
import { createEnqueue } from './enqueue.ts'
import { QueueError } from './errors.ts'
import { createHookBus } from './hooks.ts'
import { appendAs, outboxOf, recordAs, storeProgress } from './job-context.ts'
import { createLifecycle } from './lifecycle.ts'
import { safeReporter } from './listeners.ts'
import { orderPlugins, presetChain } from './plugins.ts'
import { after } from './promises.ts'
import { createPorts } from './port-table.ts'
import { createRegistry, defineWorker } from './registry.ts'
import { assertFreeEvent, isReserved } from './reserved.ts'
import { createProcessor } from './runner.ts'
import { checkWorkerInput, createWorkerCheck } from './worker-check.ts'

const DEFAULTS: CoreConfig = {
  jobs: {},
  payloadLimit: 1024 * 1024,
  setupTimeout: 10_000,
  maxCrashes: 10,
  abortGrace: 1000,
  handlerGrace: 10_000,
  maxStuckHandlers: 10,
  workerWait: 600_000,
}

/**
 * Builds a kernel: sorts the plugins and sets them up in order. The kernel can enqueue at once and runs jobs after `start()`. If
 * the setup of a plugin fails, the plugins before it are torn down.
 *
 * @example
 * const kernel = await createKernel({ preset: dev, plugins: [slowLog] })
 * await kernel.start()
 * await kernel.enqueue('hello', { name: 'world' })
 * await kernel.close()
 */
export async function createKernel(options: KernelOptions = {}): Promise<Kernel> {
  checkKernelOptions(options)
  const plugins = orderPlugins(options.preset, options.plugins ?? [])
  const layers = presetChain(options.preset).map(({ config }) => config ?? {})
  const reporter = safeReporter(options.reporter ?? console)
  const bus = createHookBus(reporter)
  const ports = createPorts()
  const config = defu(options.config ?? {}, ...layers.toReversed(), DEFAULTS) as ResolvedConfig
  checkCoreConfig(config)
  const registry = createRegistry()
  const workerOptions = createWorkerCheck(plugins)

  const append = (payload: EmitPayload): MaybePromise<void> => {
    checkAppend(payload)
    return after(ports.port('events').append(payload.stream, payload.events, payload.options), (result) => {
      payload.result = result
    })
  }

  const emit: Kernel['emit'] = (stream, events, appendOptions = {}, ctx) => {
    const payload: EmitPayload = { stream, events, options: appendOptions, ctx, result: undefined }
    const appended = channels.append.hasSubscribers
      ? traced(channels.append, { stream, events, ctx }, () => bus.chains.emit(payload, append))
      : bus.chains.emit(payload, append)
    return after(appended, () => appendResult(payload))
  }

  const kernel: Kernel = {
    ...ports,
    config,
    registry,
    reporter,
    clock: systemClock,
    hook: (name, handler, hookOptions) => bus.hook(name, { ...hookOptions, handler, plugin: 'user', rank: 0 }),
    extend: (members) => addMembers(kernel, members),
    emit(stream, events, ...others) {
      if (Array.isArray(events)) for (const { type, key } of events) assertFreeEvent(type, key)
      return emit(stream, events, ...others)
    },
    reduce: (payload) => bus.chains.reduce(payload, () => {}),
    newId: options.generateId ?? randomUUID,
    async registerWorker(input, { replace = false } = {}) {
      checkWorkerInput(input as WorkerInput)
      const worker = defineWorker(input as WorkerInput)
      await workerOptions.check(worker)
      const replaced = replace ? registry.get(worker.id) : undefined
      registry.add(worker, replaced)
      try {
        await lifecycle.workerAdded(worker, replaced)
      } catch (error) {
        registry.remove(worker.id)
        if (replaced) registry.add(replaced)
        throw error
      }
      return worker
    },
    async unregisterWorker(id) {
      const worker = registry.remove(id)
      if (worker) await lifecycle.workerRemoved(worker)
    },
  } satisfies Partial<Kernel> as object as Kernel

  const inner: PluginKernel = Object.assign(Object.create(kernel) as PluginKernel, {
    emit,
    append: appendAs.bind(undefined, emit),
    record: recordAs.bind(undefined, emit),
    outbox: outboxOf,
    storeProgress,
    defineWorkerOption: workerOptions.define,
    share: (members: Partial<PluginKernel>): void => addMembers(inner, members),
  })

  const runner = createProcessor(kernel, inner, bus.chains, ports.runtimeOf)
  const lifecycle = createLifecycle(kernel, inner, bus, ports, runner)
  const { onWorkerStart, onWorkerStop, start, close } = lifecycle
  const { abort, stuck: stuckHandlers } = runner
  const later = { onWorkerStart, onWorkerStop, start, close, abort, stuckHandlers }
  Object.assign(kernel, later, createEnqueue(kernel, bus.chains, lifecycle.assertOpen))
  await lifecycle.setup(plugins)
  return kernel
}

/** @throws QueueError `PORT_DUPLICATE` */
function addMembers<T extends object>(kernel: T, members: Partial<T>): void {
  const taken = Object.keys(members).find((name) => name in kernel)
  if (taken) throw new QueueError('PORT_DUPLICATE', `The kernel already has a member "${taken}".`)
  Object.assign(kernel, members)
}

/** If `next()` was not called, nothing was stored. Only events of users may be dropped. */
function appendResult({ result, events, stream }: EmitPayload): AppendResult {
  if (result) return result
  const dropped = events.filter(({ type }) => isReserved('event', type)).map(({ type }) => type)
  if (dropped.length === 0) return { ok: true, events: [], head: 0 }
  const hint = 'Call next(), or change the events instead.'
  throw new QueueError('EMIT_DROPPED', `A plugin dropped ${dropped.join(', ')} of run ${stream}. ${hint}`)
}
