import { rm, writeFile } from 'node:fs/promises'
import { defineQueueConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'
import { strikeChart, type Years } from '../../lib/chart.ts'
import { outputOf } from '../../lib/paths.ts'
import { incompleteYear, markdownReport } from '../../lib/report.ts'
import { state } from '../../lib/state.ts'
import { sum } from '../../lib/statistics.ts'

const REPORT = 'report.md'
const CHART = 'strikes-by-year.svg'

/** Runs once, when every year is done, and writes what the steps before it left in the state. */
export const config = defineQueueConfig({
  flow: { name: 'birdstrikes', role: 'step', step: 'report', subscribes: 'year.done', gather: 'year.ready' },
  input: z.object({ 'year.done': z.array(z.object({ year: z.string() })) }),
  state,
})

export default defineQueueWorker<typeof config>(async (job, ctx) => {
  const { read, years: stats = {} } = await ctx.state.getAll()
  if (!read) throw new Error('The state holds no "read". The entry has to run first.')
  const done = job.data['year.done'].map(({ year }) => year).toSorted()
  const years: Years = done.map((year) => [year, stats[year]!])
  await writeFile(outputOf(ctx.runId, CHART), strikeChart(years, incompleteYear(years)))
  await ctx.progress(0.5, CHART)
  await writeFile(outputOf(ctx.runId, REPORT), markdownReport(years, read, CHART))
  const files = { report: REPORT, chart: CHART }
  await ctx.state.set('files', files)
  await rm(outputOf(ctx.runId, 'years'), { recursive: true, force: true })
  const totals = {
    strikes: sum(years.map(([, year]) => year.strikes)),
    damaging: sum(years.map(([, year]) => year.damaging)),
    cost: sum(years.map(([, year]) => year.cost)),
  }
  return { ...files, ...totals }
})
