import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { datasetFile } from '../../lib/paths.ts'

export const config = defineWorkerConfig({
  // Runs once a night, for any number of instances, and never twice at the same time.
  schedule: {
    cron: '0 3 * * *',
    timeZone: 'Europe/Berlin',
    overlap: 'skip',
    data: (at: Date) => ({ night: at.toISOString() }),
  },
  attempts: 3,
  backoff: { type: 'exponential', delay: 1000 },
})

export default defineQueueWorker(async (job, ctx) => {
  let rows = -1
  for await (const _line of createInterface({ input: createReadStream(datasetFile()) })) rows++
  await ctx.state.set('rows', rows)
  return { ...(job.data as { night: string }), rows }
})
