import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'

// Runs once after every page has ended, with the data that all pages emitted.
export const config = defineWorkerConfig({
  flow: { name: 'pages', role: 'step', subscribes: 'counted', gather: 'page' },
})

export default defineQueueWorker((job) => {
  const { counted } = job.data as { counted: { rows: number; letters: number }[] }
  const sum = (of: 'rows' | 'letters'): number => counted.reduce((total, page) => total + page[of], 0)
  return { pages: counted.length, rows: sum('rows'), letters: sum('letters') }
})
