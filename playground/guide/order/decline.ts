import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({ flow: { name: 'order', role: 'step', subscribes: 'declined' } })

export default defineQueueWorker((job) => {
  const { id, reason } = job.data as { id: string; reason: string }
  return `order ${id} was declined: ${reason}`
})
