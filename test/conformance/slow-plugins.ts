import { definePlugin, QueueError, type AnyPlugin, type Kernel, type PluginKernel, type Ports } from 'nuxt-queue/kernel'
import eventsMemory from '../../plugins/adapters/memory/events/index.ts'
import queueMemory from '../../plugins/adapters/memory/queue/index.ts'

/** The methods that must return synchronously by contract. Iterators wait for their first value themselves. */
const SYNCHRONOUS = new Set<PropertyKey>(['on', 'getWorker', 'streams', 'remembered', 'jobs'])

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Delays the responses of a port like a socket does, and keeps the order of calls. */
function slow<T extends object>(port: T, own: Partial<T> = {}): T {
  return new Proxy(port, {
    get(target, key) {
      const member: unknown = key in own ? own[key as keyof T] : target[key as keyof T]
      if (typeof member === 'object' && member !== null && key !== 'capabilities') return slow(member)
      if (typeof member !== 'function' || SYNCHRONOUS.has(key)) return member
      return async (...args: unknown[]) => {
        await turn()
        const answer: unknown = await member.apply(target, args)
        await turn()
        return answer
      }
    },
  })
}

function behindSocket(plugin: AnyPlugin, own: { [Name in keyof Ports]?: (port: Ports[Name]) => Partial<Ports[Name]> }) {
  return definePlugin({
    ...plugin,
    options: plugin.options as never,
    setup(kernel: PluginKernel, options: never) {
      const provide: Kernel['provide'] = (name, port) =>
        kernel.provide(name, slow(port as object, own[name]?.(port) as object) as typeof port)
      return plugin.setup(Object.assign(Object.create(kernel) as PluginKernel, { provide }), options)
    },
  }) as AnyPlugin
}

const unsupported = (option: string): never => {
  throw new QueueError('OPTION_UNSUPPORTED', `This adapter does not support "${option}".`)
}

/** Memory behind a socket. */
export const slowQueue = behindSocket(queueMemory, {})
export const slowEvents = behindSocket(eventsMemory, {})

/** The same ports without optional capabilities. */
export const poorQueue = behindSocket(queueMemory, {
  queue: ({ capabilities, enqueue }) => ({
    enqueue: (job) => (job.runAt > job.createdAt ? unsupported('delay') : enqueue(job)),
    capabilities: { ...capabilities, delay: false, priority: false, maxQueueSize: false, progress: false },
  }),
  workers: (workers) => ({
    registerWorker: (queue, name, processor, options) =>
      workers.registerWorker(
        queue,
        name,
        (job, lease) => processor(job, { ...lease, progress: () => unsupported('progress') }),
        options,
      ),
  }),
})
