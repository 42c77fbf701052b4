import type { YearStats } from './state.ts'
import type { Strike } from './strike.ts'

export function yearStatistics(strikes: readonly Strike[]): YearStats {
  const dearest = strikes.reduce((most, strike) => (strike.cost > most.cost ? strike : most))
  const identified = strikes.filter(({ species }) => !species.startsWith('Unknown'))
  const { cost, airport, species, date } = dearest
  return {
    strikes: strikes.length,
    damaging: strikes.filter(({ damaged }) => damaged).length,
    cost: sum(strikes.map((strike) => strike.cost)),
    medianSpeed: median(strikes.flatMap(({ speed }) => (speed === undefined ? [] : [speed]))),
    months: Array.from({ length: 12 }, (_, month) => strikes.filter((strike) => monthOf(strike) === month).length),
    phases: count(strikes.map(({ phase }) => phase)),
    topSpecies: ranked(count(identified.map((strike) => strike.species)))[0]?.[0] ?? 'none identified',
    dearest: { cost, airport, species, date },
    lastDay: strikes.reduce((last, strike) => (strike.date > last ? strike.date : last), ''),
  }
}

function count(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

/** Returns the counts in descending order, and equal counts by name. */
export function ranked(counts: Readonly<Record<string, number>>): [name: string, count: number][] {
  return Object.entries(counts).toSorted(([a, m], [b, n]) => n - m || a.localeCompare(b))
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Returns `undefined` for an empty list. */
function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2
}

function monthOf({ date }: Strike): number {
  return Number(date.slice(5, 7)) - 1
}
