import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { createWebhooks, type Webhooks } from './webhooks.ts'

export type { WebhookHandler, Webhooks } from './webhooks.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /** Routes HTTP requests from outside to plugins. */
    readonly webhooks: Webhooks
  }
}

/** Lets plugins respond to HTTP requests that any server receives. */
export default definePlugin({
  name: 'webhooks',
  options: z.strictObject({
    /** The public URL of `fetch`, such as `https://example.com/_queue/`. Default: none, and `url()` throws. */
    baseUrl: z.url({ protocol: /^https?$/ }).optional(),
    /** The largest body, in bytes. Default 1 MiB. */
    maxBody: z
      .number()
      .int()
      .min(0)
      .default(1024 * 1024),
  }),
  setup(kernel, options) {
    kernel.extend({ webhooks: createWebhooks(kernel, options) })
  },
})
