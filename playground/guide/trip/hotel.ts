import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({
  flow: { name: 'trip', role: 'step', subscribes: 'flown', emits: ['slept'] },
})

export default defineQueueWorker(async (job, ctx) => {
  await ctx.flow.emit('slept', job.data)
  return { room: 7 }
})
