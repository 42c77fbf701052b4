import { rm, writeFile } from 'node:fs/promises'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'
import type { Years } from '../../lib/chart.ts'
import { outputOf } from '../../lib/paths.ts'
import { markdownReport } from '../../lib/report.ts'
import { state } from '../../lib/state.ts'
import { sum } from '../../lib/statistics.ts'

const REPORT = 'report.md'

/** Writes the report from the data that earlier steps stored in the state. Runs once the chart is drawn. */
export const config = defineWorkerConfig({
  flow: { name: 'birdstrikes', role: 'step', step: 'report', subscribes: 'chart.drawn' },
  input: z.object({ chart: z.string(), years: z.array(z.string()) }),
  state,
})

export default defineQueueWorker<typeof config>(async (job, ctx) => {
  const { chart, years: done } = job.data
  const { read, years: stats = {} } = await ctx.state.getAll()
  if (!read) throw new Error('The state holds no "read". The entry has to run first.')
  const years: Years = done.map((year) => [year, stats[year]!])
  await writeFile(outputOf(ctx.runId, REPORT), markdownReport(years, read, chart))
  const files = { report: REPORT, chart }
  await ctx.state.set('files', files)
  await rm(outputOf(ctx.runId, 'years'), { recursive: true, force: true })
  const totals = {
    strikes: sum(years.map(([, year]) => year.strikes)),
    damaging: sum(years.map(([, year]) => year.damaging)),
    cost: sum(years.map(([, year]) => year.cost)),
  }
  return { ...files, ...totals }
})
