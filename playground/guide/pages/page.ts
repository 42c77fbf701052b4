import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({
  concurrency: 20,
  flow: { name: 'pages', role: 'step', subscribes: 'page', emits: ['counted'] },
})

export default defineQueueWorker(async (job, ctx) => {
  const rows = job.data as string[]
  await ctx.flow.emit('counted', { rows: rows.length, letters: rows.join('').length })
})
