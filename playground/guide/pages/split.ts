import { readFile } from 'node:fs/promises'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'
import { datasetFile } from '../../lib/paths.ts'

export const config = defineWorkerConfig({
  input: z.object({ pages: z.number().int().min(1) }),
  flow: { name: 'pages', role: 'entry', emits: ['page'] },
})

/** Distributes the rows of the data set over the given number of pages. Each page becomes a job. */
export default defineQueueWorker<typeof config>(async (job, ctx) => {
  const [, ...rows] = (await readFile(datasetFile(), 'utf8')).trimEnd().split('\n')
  const size = Math.ceil(rows.length / job.data.pages)
  for (let from = 0; from < rows.length; from += size) await ctx.flow.emit('page', rows.slice(from, from + size))
})
