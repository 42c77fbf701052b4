import { createNitroModule } from '../lib/nitro/module.ts'

export { createNitroModule } from '../lib/nitro/module.ts'
export type { NitroModuleOptions } from '../lib/nitro/module.ts'

/**
 * The queue for applications of Nitro: bundles the workers below `queues`, starts them with the
 * server and answers requests below `/_queue/`.
 *
 * @example
 * // nitro.config.ts
 * export default defineNitroConfig({ modules: ['nuxt-queue/nitro'], queue: { adapter: 'redis' } })
 */
export default createNitroModule()
