import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({ flow: { name: 'trip', role: 'compensation', compensates: 'trip/hotel' } })

export default defineQueueWorker(async (job, ctx) => {
  const { result } = job.data as { result: { room: number } }
  await ctx.state.update('undone', (undone = []) => [...(undone as string[]), `room ${result.room}`])
})
