/** One measured case, printed as one line of JSON or as a row. */
export interface BenchResult {
  bench: string
  case: string
  unit: string
  ours: number
  base: number
  /** What the base is. */
  against: string
  /** Larger is better. 1 is the base, for every unit. */
  ratio: number
  runs: number
}

export interface Comparison {
  case: string
  unit: string
  against: string
  /** Whether a larger figure is better, such as jobs per second. */
  larger: boolean
  runs: number
  ours: () => Promise<number>
  base: () => Promise<number>
}

/** Runs this package and the base alternately, so that both have the same noise, and compares the medians. */
export async function compare(bench: string, { larger, runs, ours, base, ...about }: Comparison): Promise<BenchResult> {
  const samples: { ours: number[]; base: number[] } = { ours: [], base: [] }
  await ours()
  await base()
  for (let run = 0; run < runs; run++) {
    samples.base.push(await base())
    samples.ours.push(await ours())
  }
  const [mine, theirs] = [median(samples.ours), median(samples.base)]
  const ratio = larger ? mine / theirs : theirs / mine
  return {
    bench,
    case: about.case,
    unit: about.unit,
    ours: round(mine),
    base: round(theirs),
    against: about.against,
    ratio: round(ratio),
    runs,
  }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}

export function round(value: number): number {
  return Number(value.toPrecision(4))
}

export function report(result: BenchResult, json: boolean): void {
  if (json) return void process.stdout.write(`${JSON.stringify(result)}\n`)
  const { case: name, unit, ours, base, against, ratio, runs } = result
  const figures = `${ours.toLocaleString('en')} ${unit}`.padStart(20)
  const theirs = `${base.toLocaleString('en')} (${against})`
  process.stdout.write(
    `${name.padEnd(22)}${figures}   ratio ${ratio.toFixed(2).padStart(6)}   base ${theirs}, ${runs} runs\n`,
  )
}

export const perSecond = (count: number, began: number): number => count / ((performance.now() - began) / 1000)

/** Resolves when called back `count` times. */
export function countdown(count: number): { done: Promise<void>; hit: (hits?: number) => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let left = count
  return {
    done: promise,
    hit(hits = 1) {
      left -= hits
      if (left <= 0) resolve()
    },
  }
}
