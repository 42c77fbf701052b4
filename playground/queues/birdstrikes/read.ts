import { createReadStream } from 'node:fs'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { parse } from 'csv-parse'
import { defineWorkerConfig, defineQueueWorker } from 'nuxt-queue'
import { z } from 'zod'
import { datasetFile, outputOf } from '../../lib/paths.ts'
import { state } from '../../lib/state.ts'
import { readStrike, type Strike } from '../../lib/strike.ts'

const PROGRESS_EVERY = 500

/** Reads the file, rejects implausible rows, and fans out one job for each year. */
export const config = defineWorkerConfig({
  flow: { name: 'birdstrikes', role: 'entry', step: 'read', emits: ['year.ready'] },
  input: z.object({ file: z.string().default(datasetFile) }).prefault({}),
  state,
})

export default defineQueueWorker<typeof config>(async (job, ctx) => {
  const { file } = job.data
  const { size } = await stat(file)
  const source = createReadStream(file)
  const csv = parse({ columns: true, relax_column_count: true, relax_quotes: true, bom: true })
  // An error of either stream ends the loop below.
  const rows = pipeline(source, csv, () => {})
  const years = new Map<string, Strike[]>()
  const seen = new Set<string>()
  const bad: Record<string, number> = {}
  let read = 0
  for await (const fields of rows) {
    const line = JSON.stringify(fields)
    const found = seen.has(line) ? { reason: 'repeats an earlier row' } : readStrike(fields)
    seen.add(line)
    if ('reason' in found) bad[found.reason] = (bad[found.reason] ?? 0) + 1
    else {
      const year = found.strike.date.slice(0, 4)
      years.set(year, years.get(year) ?? [])
      years.get(year)!.push(found.strike)
    }
    if (++read % PROGRESS_EVERY === 0) await ctx.progress(source.bytesRead / size, `${read} rows`)
  }

  const strikes = [...years.values()].flat()
  if (strikes.length === 0) {
    throw Object.assign(new Error(`None of the ${read} rows of ${file} can be used.`), { retryable: false })
  }
  const withoutSpeed = strikes.filter(({ speed }) => speed === undefined).length
  await ctx.state.set('read', { rows: read, good: strikes.length, bad, withoutSpeed })
  await ctx.logger.info(`${read} rows, ${read - strikes.length} left out`, bad)

  // Payloads should contain references, so each year is in a file that its job reads.
  const folder = outputOf(ctx.runId, 'years')
  await mkdir(folder, { recursive: true })
  for (const [year, rowsOfYear] of years) {
    const rows = outputOf(ctx.runId, 'years', `${year}.json`)
    await writeFile(rows, JSON.stringify(rowsOfYear))
    await ctx.flow.emit('year.ready', { year, rows })
  }
  return { rows: read, years: years.size }
})
