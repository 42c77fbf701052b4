import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { createWebhooks, type Webhooks } from './webhooks.ts'

export type { WebhookHandler, Webhooks } from './webhooks.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /** Where requests from outside arrive. */
    readonly webhooks: Webhooks
  }
}

/** Lets plugins answer HTTP requests, whatever server they come through. */
export default definePlugin({
  name: 'webhooks',
  options: z.strictObject({
    /** Where the world reaches `fetch`, such as `https://example.com/_queue/`. Default: nowhere, so that `url()` throws. */
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
