import { createNitroModule } from '../lib/nitro/module.ts'

export { createNitroModule } from '../lib/nitro/module.ts'
export type { NitroModuleOptions } from '../lib/nitro/module.ts'
export type { QueueNitroModule } from '../lib/nitro/host.ts'

/**
 * The module for nitropack 2 and Nitro 3 that adds the queue to an application. It bundles the workers below `queues`, starts them with the
 * server and serves requests below `/_queue/`.
 *
 * @example
 * // nitro.config.ts
 * export default defineConfig({ modules: ['nuxt-queue/nitro'], queue: { adapter: 'redis' } })
 */
export default createNitroModule()
