import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({ flow: { name: 'trip', role: 'entry', emits: ['flown'] } })

export default defineQueueWorker(async (job, ctx) => {
  await ctx.flow.emit('flown', job.data)
  return { seat: '12A' }
})
