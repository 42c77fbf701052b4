import type { Plugin, Preset, QueueHandler, WorkerConfig } from '../contracts/index.ts'
import { QueueError } from './errors.ts'

/**
 * Types a handler. `defineQueueWorker<typeof config>` derives the types of data, state and result from the
 * schemas of a config.
 *
 * @example
 * export const config = defineWorkerConfig({ input: z.object({ to: z.email() }) })
 * export default defineQueueWorker<typeof config>(async (job, ctx) => {
 *   await ctx.logger.info(`mail to ${job.data.to}`)
 * })
 */
export function defineQueueWorker<C = WorkerConfig>(handler: QueueHandler<C>): QueueHandler<C> {
  return handler
}

/** Keys of the configuration of an application that the config of a worker never has. */
const APPLICATION_KEYS = ['preset', 'adapter', 'plugins']

/**
 * Types the config of a worker, in the file of the worker, and returns it unchanged. For `nuxt-queue.config.ts` there is
 * `defineConfig`.
 *
 * @throws QueueError `OPTION_INVALID` for the configuration of an application
 * @example
 * export const config = defineWorkerConfig({ concurrency: 5, attempts: 3, backoff: 1000 })
 */
export function defineWorkerConfig<const C extends WorkerConfig>(config: C): C {
  const key = APPLICATION_KEYS.find((one) => one in config)
  if (key === undefined) return config
  const message = `The config of a worker got "${key}", which is for the whole application.`
  throw new QueueError('OPTION_INVALID', `${message} Move it to nuxt-queue.config.ts, into defineConfig().`)
}

/** The former name of `defineWorkerConfig`. */
export function defineQueueConfig<const C extends WorkerConfig>(config: C): C {
  return defineWorkerConfig(config)
}

/**
 * Types a plugin and returns it unchanged.
 *
 * @example
 * export default definePlugin({
 *   name: 'slow-log',
 *   setup(kernel) {
 *     kernel.hook('dispatch', async (dispatch, next) => {
 *       const started = kernel.clock.now()
 *       await next()
 *       if (kernel.clock.now() - started > 1000) kernel.reporter.warn(`${dispatch.job.name} is slow`)
 *     })
 *   },
 * })
 */
export function definePlugin<O = undefined, I = unknown>(plugin: Plugin<O, I>): Plugin<O, I> {
  return plugin
}

/**
 * Types a preset and returns it unchanged.
 *
 * @example
 * export const dev = definePreset({ name: 'dev', extends: common, plugins: [queueMemory, eventsMemory] })
 */
export function definePreset(preset: Preset): Preset {
  return preset
}
