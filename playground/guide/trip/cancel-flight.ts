import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({ flow: { name: 'trip', role: 'compensation', compensates: 'trip/flight' } })

export default defineQueueWorker(async (job, ctx) => {
  const { result } = job.data as { result: { seat: string } }
  await ctx.state.update('undone', (undone = []) => [...(undone as string[]), `seat ${result.seat}`])
})
