/** A point of `GET stats`. Durations are milliseconds, and `null` without jobs. */
export interface Point {
  ts: number
  started: number
  completed: number
  failed: number
  retried: number
  /** How many of the failed jobs had waited longer than `expiresIn`. */
  expired: number
  wait: Quantiles
  run: Quantiles
}

interface Quantiles {
  count: number
  p50: number | null
  p95: number | null
  p99: number | null
}

export interface Stats {
  step: number
  series: readonly Point[]
  queues?: readonly { queue: string; series: readonly Point[] }[]
}

/** The data of the small chart of a queue. */
export interface Trend {
  completed: number[]
  failed: number[]
  /** Ended jobs per minute, over the whole period. */
  perMinute: number
}

/** Returns the trend of each queue that had jobs. */
export function trendsOf(stats: Stats | undefined): Map<string, Trend> {
  const trends = (stats?.queues ?? []).map(({ queue, series }): [string, Trend] => {
    const ended = series.reduce((sum, { completed, failed }) => sum + completed + failed, 0)
    const minutes = (series.length * stats!.step) / 60_000
    return [
      queue,
      {
        completed: series.map(({ completed }) => completed),
        failed: series.map(({ failed }) => failed),
        perMinute: Math.round((ended / minutes) * 10) / 10,
      },
    ]
  })
  return new Map(trends)
}

/** Periods that charts can show, in milliseconds. */
export const RANGES = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 } as const
export type Range = keyof typeof RANGES

type Column = (number | null)[]

/** The milliseconds after which the jobs of all processes are counted. */
const DELAY = 10_000
/** From how many milliseconds on a point that has not ended shows a rate. */
const LEAST = 120_000

/** Returns the points that have ended, and the last one if it is old enough to show a rate, with the milliseconds that it has lasted. */
export function settledOf({ step, series }: Stats, now: number): Stats & { lasted: (point: Point) => number } {
  const lasted = ({ ts }: Point): number => Math.min(step, now - ts)
  return { step, series: series.filter(({ ts }) => now - ts >= Math.min(step + DELAY, LEAST)), lasted }
}

/** Returns the moments in seconds, and the jobs per minute by outcome. */
export function throughputOf({
  step,
  series,
  lasted = () => step,
}: Stats & { lasted?: (point: Point) => number }): [number[], ...Column[]] {
  const perMinute = (key: 'completed' | 'failed' | 'retried'): number[] =>
    series.map((point) => (point[key] * 60_000) / lasted(point))
  return [series.map(({ ts }) => ts / 1000), perMinute('completed'), perMinute('failed'), perMinute('retried')]
}

/** Returns the moments in seconds, and quantiles of the run time and the wait. */
export function durationsOf({ series }: Stats): [number[], ...Column[]] {
  return [
    series.map(({ ts }) => ts / 1000),
    series.map(({ run }) => run.p50),
    series.map(({ run }) => run.p95),
    series.map(({ wait }) => wait.p95),
  ]
}

/** Returns the totals of a period. */
export function totalOf({ series }: Stats): Pick<Point, 'completed' | 'failed' | 'retried' | 'expired'> {
  const total = { completed: 0, failed: 0, retried: 0, expired: 0 }
  for (const point of series) for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += point[key]
  return total
}
