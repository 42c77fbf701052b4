import { createKernel } from 'nuxt-queue'
import { keepLoading, SECRET, seed } from './load.ts'
import { registerWorkers } from './workers.ts'

/* Starts a server whose dashboard shows a varied, live load: `npm run dashboard`. */

const port = Number(process.env.PORT ?? 4400)
const kernel = await createKernel({
  preset: process.env.NUXT_QUEUE_PRESET ?? 'dev',
  config: {
    registry: { dirs: [] },
    webhooks: { baseUrl: `http://127.0.0.1:${port}/_queue/` },
    triggers: {
      restock: { type: 'manual', worker: 'media/resize' },
      payment: { type: 'webhook', path: 'payment', verify: { type: 'bearer', secret: SECRET }, worker: 'mail/send' },
    },
  },
})
await registerWorkers(kernel)
await kernel.start()
const { url } = await kernel.http.listen({ port })
await seed(kernel)
const stop = new AbortController()
if (process.env.QUIET === undefined) keepLoading(kernel, stop.signal)
process.stdout.write(`The dashboard is at ${url}/_queue/ui/\n`)
process.once('SIGINT', () => {
  stop.abort()
  void kernel.close()
})
