import { z } from 'zod'
import { definePlugin, isReserved } from '../../../kernel/index.ts'
import { createObserver } from './observe.ts'
import { scrape } from './scrape.ts'
import { createStoreCounts } from '../lib/store-counts.ts'
import { CONTENT_TYPE } from './text.ts'

/** Serves metrics for Prometheus at `<path>metrics` of the plugin `http`, to callers with the permission `metrics.read`. */
export default definePlugin({
  name: 'metrics',
  requires: ['queue', 'workers', 'http'],
  options: z.strictObject({
    /** Whether jobs of plugins, such as the ticks of schedules, are counted. Default false. */
    internal: z.boolean().default(false),
    /** How long the counts of the store are cached, in milliseconds. Default 5,000. */
    keep: z.number().int().min(0).max(600_000).default(5_000),
  }),
  setup(kernel, { internal, keep }) {
    const isShown = (queue: string): boolean => internal || !isReserved('queue', queue)
    const observed = createObserver(kernel, isShown)
    const countStore = createStoreCounts(kernel, isShown, keep)
    const headers = {
      'content-type': CONTENT_TYPE,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    }
    kernel.http.mount(
      'metrics',
      async ({ request: { method }, path = '' }) => {
        if (path !== '')
          return new Response('There is nothing at this path. The metrics are one level up.', { status: 404 })
        if (method !== 'GET' && method !== 'HEAD') {
          return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } })
        }
        const text = method === 'HEAD' ? null : scrape(kernel, { ...observed, isShown }, await countStore())
        return new Response(text, { headers })
      },
      { action: 'metrics.read' },
    )
  },
})
