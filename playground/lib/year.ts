import { readFile } from 'node:fs/promises'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'
import { state } from './state.ts'
import { yearStatistics } from './statistics.ts'
import type { Strike } from './strike.ts'

/** Replaces `queues/birdstrikes/year.py` on machines without Python. See `python.fallback` in the configuration. */
export const config = defineWorkerConfig({
  concurrency: 4,
  attempts: 2,
  flow: { name: 'birdstrikes', role: 'step', step: 'year', subscribes: 'year.ready', emits: ['year.done'] },
  input: z.object({ year: z.string(), rows: z.string() }),
  state,
})

export default defineQueueWorker<typeof config>(async (job, ctx) => {
  const { year, rows } = job.data
  const strikes = JSON.parse(await readFile(rows, 'utf8')) as Strike[]
  const stats = yearStatistics(strikes)
  await ctx.logger.info(`${year}: ${stats.strikes} strikes, ${stats.damaging} with damage`)
  await ctx.state.update('years', (years = {}) => ({ ...years, [year]: stats }))
  await ctx.flow.emit('year.done', { year })
  return { year, strikes: stats.strikes, cost: stats.cost }
})
