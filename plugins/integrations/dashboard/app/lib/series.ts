/** A point of `GET stats`. Durations are milliseconds, and `null` without jobs. */
export interface Point {
  ts: number
  started: number
  completed: number
  failed: number
  retried: number
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

/** What a small line of a queue shows. */
export interface Trend {
  completed: number[]
  failed: number[]
  /** Jobs that ended, per minute of the whole span. */
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

/** Spans that charts can show, in milliseconds. */
export const RANGES = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 } as const
export type Range = keyof typeof RANGES

type Column = (number | null)[]

/** Returns the moments in seconds, and the jobs per minute by outcome. */
export function throughputOf({ step, series }: Stats): [number[], ...Column[]] {
  const perMinute = (count: number): number => (count * 60_000) / step
  return [
    series.map(({ ts }) => ts / 1000),
    series.map(({ completed }) => perMinute(completed)),
    series.map(({ failed }) => perMinute(failed)),
    series.map(({ retried }) => perMinute(retried)),
  ]
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

/** Returns the totals of a span. */
export function totalOf({ series }: Stats): { completed: number; failed: number; retried: number } {
  const sum = (key: 'completed' | 'failed' | 'retried'): number =>
    series.reduce((total, point) => total + point[key], 0)
  return { completed: sum('completed'), failed: sum('failed'), retried: sum('retried') }
}
