import type { PluginKernel, Ports, Runtime, WorkerDefinition } from '../contracts/index.ts'
import { QueueError } from './errors.ts'

/** Holds what plugins provide: one implementation of each port, and any number of runtimes by name. */
export function createPorts() {
  const provided = new Map<string, { implementation: unknown; plugin: string }>()
  const runtimes = new Map<string, Runtime>()
  const wraps: { port: string; wrap: (implementation: never) => unknown }[] = []

  const wrapPort: PluginKernel['wrapPort'] = (port, wrap) => {
    const there = provided.get(port)?.plugin
    if (there === undefined) return void wraps.push({ port, wrap })
    const message = `Port "${port}" cannot be wrapped after plugin "${there}" has provided it. Give the plugin that wraps it "enforce: 'pre'".`
    throw new QueueError('PLUGIN_REQUIRES', message, { details: { port } })
  }

  function provide<Name extends keyof Ports>(port: Name, implementation: Ports[Name], plugin = 'user'): void {
    const key = port === 'runtime' ? `runtime:${(implementation as Runtime).name}` : port
    const there = provided.get(key)?.plugin
    if (there !== undefined) {
      const message = `Plugins "${there}" and "${plugin}" both provide port "${key}". Remove one of them.`
      throw new QueueError('PORT_DUPLICATE', message, { details: { port: key, candidates: [there, plugin] } })
    }
    const outermost = wraps
      .filter((one) => one.port === port)
      .reduceRight<unknown>((inner, { wrap }) => wrap(inner as never), implementation)
    provided.set(key, { implementation: outermost, plugin })
    if (port === 'runtime') runtimes.set((implementation as Runtime).name, implementation as Runtime)
  }

  function port<Name extends keyof Ports>(name: Name): Ports[Name] {
    const found = provided.get(name)
    if (found) return found.implementation as Ports[Name]
    const candidates = [...provided].map(([key, { plugin }]) => `${key} (${plugin})`).join(', ') || 'nothing'
    const message = `No plugin provides port "${name}". Add a plugin that provides it, or a preset. Provided: ${candidates}.`
    throw new QueueError('PORT_MISSING', message, { details: { port: name } })
  }

  function runtimeOf({ id, worker: { runtime } }: WorkerDefinition): Runtime {
    const found = runtimes.get(runtime)
    if (found) return found
    const known = [...runtimes.keys()].join(', ') || 'none'
    throw new QueueError('RUNTIME_UNKNOWN', `Worker "${id}" needs unknown runtime "${runtime}". Known: ${known}.`)
  }
  return { provide, wrapPort, port, hasPort: (name: string) => provided.has(name), runtimes, runtimeOf }
}
export type PortTable = ReturnType<typeof createPorts>
