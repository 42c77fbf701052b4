import { writeFile } from 'node:fs/promises'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'
import { strikeChart, type Years } from '../../lib/chart.ts'
import { outputOf } from '../../lib/paths.ts'
import { incompleteYear } from '../../lib/report.ts'
import { state } from '../../lib/state.ts'

const CHART = 'strikes-by-year.svg'

/** Draws the chart in a separate process. Runs once, when every year is done. */
export const config = defineWorkerConfig({
  runtime: 'node-isolated',
  isolated: { resourceLimits: { maxOldGenerationSizeMb: 256 } },
  process: { inheritEnv: ['PLAYGROUND_OUTPUT'] },
  flow: {
    name: 'birdstrikes',
    role: 'step',
    step: 'chart',
    subscribes: 'year.done',
    gather: 'year.ready',
    emits: ['chart.drawn'],
  },
  input: z.object({ 'year.done': z.array(z.object({ year: z.string() })) }),
  state,
})

export default defineQueueWorker<typeof config>(async (job, ctx) => {
  const { years: stats = {} } = await ctx.state.getAll()
  const done = job.data['year.done'].map(({ year }) => year).toSorted()
  if (done.length === 0) {
    const message = 'No year was counted. Does the worker "birdstrikes/year" run here? It needs Python 3.9 or later.'
    throw Object.assign(new Error(message), { retryable: false })
  }
  const years: Years = done.map((year) => [year, stats[year]!])
  await writeFile(outputOf(ctx.runId, CHART), strikeChart(years, incompleteYear(years)))
  await ctx.flow.emit('chart.drawn', { chart: CHART, years: done })
  return { chart: CHART }
})
