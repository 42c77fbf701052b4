import { versionOf } from './versions.ts'

/** One measured case, printed as one line of JSON, as a row, or as a row of a Markdown table. */
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
  /** Half the distance between the lowest and the highest ratio of a pair of runs, as a share of the median. */
  noise?: number
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

/** What an invocation asks for. */
export interface BenchOptions {
  /** A tenth of the jobs, and one run of each case: shows that a bench works, and the order of magnitude. */
  quick: boolean
  /** Which cases to measure. */
  only?: RegExp
  emit: (result: BenchResult) => void
}

/** One bench while it runs. */
export class Bench {
  readonly name: string
  readonly quick: boolean
  readonly #options: BenchOptions

  constructor(name: string, options: BenchOptions) {
    this.name = name
    this.quick = options.quick
    this.#options = options
  }

  /** Whether a case is asked for. Benches ask before they prepare what only this case needs. */
  wants(name: string): boolean {
    return this.#options.only?.test(name) ?? true
  }

  /** The number of jobs, events or runs to measure with. */
  size(full: number): number {
    return this.quick ? Math.ceil(full / 10) : full
  }

  runs(full: number): number {
    return this.quick ? 1 : Number(process.env.BENCH_RUNS ?? full)
  }

  emit(result: Omit<BenchResult, 'bench'>): void {
    if (this.wants(result.case)) this.#options.emit({ bench: this.name, ...result })
  }

  /**
   * Runs this package and the base alternately, so that both have the same noise, and compares the medians.
   * Both run once before it counts, because the first run also compiles.
   */
  async compare(about: Comparison): Promise<void> {
    const { case: name, unit, against, larger, ours, base } = about
    if (!this.wants(name)) return
    const runs = this.runs(about.runs)
    const samples: { ours: number[]; base: number[] } = { ours: [], base: [] }
    await ours()
    await base()
    for (let run = 0; run < runs; run++) {
      samples.base.push(checked(await base(), against, name))
      samples.ours.push(checked(await ours(), 'nuxt-queue', name))
    }
    const ratioOf = (mine: number, theirs: number): number => (larger ? mine / theirs : theirs / mine)
    const [mine, theirs] = [median(samples.ours), median(samples.base)]
    const ratios = samples.ours.map((value, run) => ratioOf(value, samples.base[run]!))
    this.emit({
      ...{ case: name, unit, ours: round(mine), base: round(theirs), against: withVersion(against) },
      ratio: round(ratioOf(mine, theirs)),
      runs,
      ...(runs > 1 && { noise: round((Math.max(...ratios) - Math.min(...ratios)) / 2 / median(ratios)) }),
    })
  }
}

/** A side that did nothing measures 0 or infinity, and a ratio against it would say nothing. */
function checked(value: number, who: string, name: string): number {
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`"${who}" measured ${value} in "${name}". It did not do the work, so there is nothing to compare.`)
}

/** Adds the version that is installed, if the text begins with the name of a library. */
function withVersion(against: string): string {
  const [library = ''] = against.split(/[\s,]/, 1)
  const version = versionOf(library)
  return version === undefined ? against : `${library} ${version}${against.slice(library.length)}`
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
