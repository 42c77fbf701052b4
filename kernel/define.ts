import type { Plugin, Preset, QueueHandler, WorkerConfig } from '../contracts/index.ts'

/**
 * Types a handler. `defineQueueWorker<typeof config>` derives the types of data, state and result from the
 * schemas of a config.
 *
 * @example
 * export const config = defineQueueConfig({ input: z.object({ to: z.email() }) })
 * export default defineQueueWorker<typeof config>(async (job, ctx) => {
 *   await ctx.logger.info(`mail to ${job.data.to}`)
 * })
 */
export function defineQueueWorker<C = WorkerConfig>(handler: QueueHandler<C>): QueueHandler<C> {
  return handler
}

/**
 * Types the config of a worker and returns it unchanged.
 *
 * @example
 * export const config = defineQueueConfig({ concurrency: 5, attempts: 3, backoff: 1000 })
 */
export function defineQueueConfig<const C extends WorkerConfig>(config: C): C {
  return config
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
export function definePlugin<Options = undefined>(plugin: Plugin<Options>): Plugin<Options> {
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
