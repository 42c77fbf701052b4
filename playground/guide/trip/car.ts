import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

export const config = defineWorkerConfig({
  attempts: 2,
  flow: { name: 'trip', role: 'step', subscribes: 'slept', onError: 'compensate' },
})

export default defineQueueWorker((job) => {
  if ((job.data as { to: string }).to === 'Atlantis') throw new Error('no roads there')
  return { car: 'red' }
})
