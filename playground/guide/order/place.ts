import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'

export const config = defineWorkerConfig({
  input: z.object({ id: z.string(), total: z.number() }),
  flow: { name: 'order', role: 'entry', emits: ['placed'] },
})

export default defineQueueWorker<typeof config>((job, ctx) => ctx.flow.emit('placed', job.data))
