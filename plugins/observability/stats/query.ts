import {
  checkDuration,
  checkMoment,
  isReserved,
  QueueError,
  type Kernel,
  type MaybePromise,
} from '../../../kernel/index.ts'
import { checkFunction, checkOptions, checkString, oneOf, type OptionChecks } from '../../lib/check-options.ts'
import { quantilesOf, type Quantiles } from './histogram.ts'
import { LAYERS, SKEW, type BucketRecord, type Layers } from './layers.ts'
import { addStored, createRow, REST, type Counter, type Row } from './rows.ts'

export interface StatsQuery {
  /** Only jobs of this queue. Default: the jobs of all queues except queues of plugins. */
  queue?: string
  /** Only jobs of the worker with this id. */
  worker?: string
  /** The beginning: a date, or milliseconds since the epoch. Default: one hour before `to`. */
  from?: number | Date
  /** The end: a date, or milliseconds since the epoch. Default: now. */
  to?: number | Date
  /**
   * Milliseconds from one point to the next. The result contains the step that was used. It is larger if the data for the period is only
   * kept in larger steps, or if there would be more than 1,500 points. Default: a step that gives about 300 points.
   */
  step?: number
  /** `'queue'` adds the series of each queue to the result, for charts that show many queues. Default: the total only. */
  by?: 'queue'
  /** Omits the jobs of queues for which it returns false. Called once for each queue. */
  mayRead?: (queue: string) => MaybePromise<boolean>
}

/** The counts and durations from `ts` until `ts + step`. */
export interface StatsPoint extends Record<Counter, number> {
  /** The beginning, in milliseconds since the epoch. */
  ts: number
  /** How long attempts waited from when they were due until they started, in milliseconds. */
  wait: Quantiles
  /** How long attempts ran until they completed or failed, in milliseconds. */
  run: Quantiles
}

export interface Stats {
  /** Milliseconds from one point to the next. */
  step: number
  /** All points of the period, oldest first, including points without jobs. */
  series: StatsPoint[]
  /** With `by: 'queue'`: the series of each queue that had jobs in the period, by name. */
  queues?: { queue: string; series: StatsPoint[] }[]
}

const CHECKS: OptionChecks<StatsQuery> = {
  queue: checkString,
  worker: checkString,
  from: checkMoment,
  to: checkMoment,
  step: checkDuration,
  by: oneOf(['queue']),
  mayRead: checkFunction,
}
const MAX_POINTS = 1500
const HOUR = 3_600_000
/** The steps that are chosen by default. The last one is used for any longer period. */
const STEPS = [10_000, 60_000, 300_000, HOUR, 6 * HOUR]
const DEFAULT_POINTS = 400

/** Returns the series of a query: the stored counts, and the counts of this process that are not yet stored. */
export async function queryStats(
  kernel: Kernel,
  layers: Layers,
  pending: () => BucketRecord[],
  options: StatsQuery,
): Promise<Stats> {
  const query = checkOptions('stats()', options, CHECKS)
  const { from, to, step, layer } = periodOf(query, kernel.clock.now())
  // Records that are appended in the meantime are also found in the store. Their ids prevent double counting.
  const own = pending()
  const ids = new Set(own.map(({ id }) => id))
  const stored = (await layers.read(layer, from - SKEW)).filter(({ id }) => id === undefined || !ids.has(id))
  const records = [...stored, ...own].filter(({ ts }) => ts >= from && ts < to)
  const visible = await shownQueues(records, query)
  const createPoints = () => Array.from({ length: Math.round((to - from) / step) }, () => createRow('', ''))
  const total = createPoints()
  const queues = new Map<string, Row[]>()
  for (const { ts, rows } of records) {
    const index = Math.floor((ts - from) / step)
    for (const row of rows) {
      if (!visible.has(row.queue) || (query.worker !== undefined && row.worker !== query.worker)) continue
      addStored(total[index]!, row)
      if (query.by === undefined || row.queue === REST) continue
      const points = queues.get(row.queue) ?? createPoints()
      queues.set(row.queue, points)
      addStored(points[index]!, row)
    }
  }
  const seriesOf = (points: Row[]) => points.map((point, index) => pointOf(from + index * step, point))
  const named = [...queues].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    step,
    series: seriesOf(total),
    ...(query.by && { queues: named.map(([queue, points]) => ({ queue, series: seriesOf(points) })) }),
  }
}

/** Aligns the period to the step. Chooses the finest step that is kept for the whole period, and its layer. */
function periodOf(query: StatsQuery, now: number) {
  const end = query.to === undefined ? now + 1 : Number(query.to)
  const begin = query.from === undefined ? Math.max(0, end - HOUR) : Number(query.from)
  if (begin >= end)
    throw new QueueError('OPTION_INVALID', `Option "from" is a moment before "to"; got ${begin} and ${end}.`)
  const span = end - begin
  const wanted = query.step ?? STEPS.find((one) => span / one <= DEFAULT_POINTS) ?? STEPS.at(-1)!
  const least = Math.max(wanted, span / (MAX_POINTS - 1))
  const kept = LAYERS.findIndex(({ keep, step }) => begin >= now - keep - step)
  const unit = LAYERS[kept === -1 ? LAYERS.length - 1 : kept]!.step
  const whole = Math.max(1, Math.ceil(least / unit)) * unit
  const layer = LAYERS.findLastIndex((one) => whole % one.step === 0)
  const from = Math.floor(begin / whole) * whole
  return { from, to: Math.ceil(end / whole) * whole, step: whole, layer }
}

async function shownQueues(records: readonly BucketRecord[], { queue, mayRead }: StatsQuery): Promise<Set<string>> {
  const names = new Set(records.flatMap(({ rows }) => rows.map((row) => row.queue)))
  const wanted = [...names].filter((name) =>
    queue === undefined ? name === REST || !isReserved('queue', name) : name === queue,
  )
  const allowed = await Promise.all(wanted.map((name) => mayRead?.(name) ?? true))
  return new Set(wanted.filter((_, index) => allowed[index]))
}

function pointOf(ts: number, { counts, wait, run }: Row): StatsPoint {
  return { ts, ...counts, wait: quantilesOf(wait), run: quantilesOf(run) }
}
