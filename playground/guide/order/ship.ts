import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({ flow: { name: 'order', role: 'step', subscribes: 'approved' } })

export default defineQueueWorker((job) => `order ${(job.data as { id: string }).id} is on its way`)
