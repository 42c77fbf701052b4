import type { Years } from './chart.ts'
import type { ReadState } from './state.ts'
import { ranked, sum } from './statistics.ts'

const MONTHS = 'January February March April May June July August September October November December'.split(' ')

/** Returns the last year, if its reports end before the end of December. */
export function incompleteYear(years: Years): string | undefined {
  const [year, { lastDay }] = years.at(-1)!
  return lastDay < `${year}-12-01` ? year : undefined
}

export function markdownReport(years: Years, read: ReadState, chart: string): string {
  const strikes = sum(years.map(([, stats]) => stats.strikes))
  const damaging = sum(years.map(([, stats]) => stats.damaging))
  const cost = sum(years.map(([, stats]) => stats.cost))
  const months = MONTHS.map((_, month) => sum(years.map(([, stats]) => stats.months[month]!)))
  const peak = months.indexOf(Math.max(...months))
  const quiet = months.indexOf(Math.min(...months))
  const [phase, inPhase] = ranked(phasesOf(years))[0]!
  const [worstYear, { dearest }] = years.reduce((most, year) =>
    year[1].dearest.cost > most[1].dearest.cost ? year : most,
  )
  const incomplete = incompleteYear(years)
  const note = incomplete === undefined ? '' : `\n\\* ${incomplete}: until ${years.at(-1)![1].lastDay}.\n`

  return `# Wildlife strikes, ${years[0]![0]}–${years.at(-1)![0]}

${whole(strikes)} reported strikes that can be used, ${whole(damaging)} of them with damage (${percent(damaging, strikes)}), at a cost of ${dollars(cost)}.

![Bar charts of strikes with and without damage, and of their cost, by year](${chart})

## Findings

- **Season**: ${MONTHS[peak]} has the most strikes, ${whole(months[peak]!)}, which is ${ratio(months[peak]!, months[quiet]!)} times ${MONTHS[quiet]}'s ${whole(months[quiet]!)}.
- **Phase of flight**: ${percent(inPhase, strikes)} happen in the phase "${phase}".
- **Cost**: the dearest single strike, ${dollars(dearest.cost)}, was in ${worstYear}: ${dearest.species} at ${titleCase(dearest.airport)} on ${dearest.date}.

## By year

| year | strikes | with damage | share | cost | median speed | species seen most | dearest strike |
| ---- | ------: | ----------: | ----: | ---: | -----------: | ----------------- | -------------: |
${years.map(([year, stats]) => yearRow(year === incomplete ? `${year}\\*` : year, stats)).join('\n')}
${note}
Species left unidentified are not ranked. The median speed is over the reports that give one; ${whole(read.withoutSpeed)} do not.

## Data

${whole(read.rows)} rows were read. ${whole(read.rows - read.good)} were left out:

| reason | rows |
| ------ | ---: |
${
  ranked(read.bad)
    .map(([reason, rows]) => `| ${reason} | ${whole(rows)} |`)
    .join('\n') || '| none | 0 |'
}

A damage class is unknown where the military reports a mishap class (B, C) instead of the damage. Source: FAA Wildlife Strike Database, as sampled by vega-datasets.
`
}

function yearRow(
  label: string,
  { strikes, damaging, cost, medianSpeed, topSpecies, dearest }: Years[number][1],
): string {
  const speed = medianSpeed === undefined ? '–' : `${medianSpeed} kn`
  const cells = [label, whole(strikes), whole(damaging), percent(damaging, strikes), dollars(cost), speed, topSpecies]
  return `| ${[...cells, dollars(dearest.cost)].join(' | ')} |`
}

function phasesOf(years: Years): Record<string, number> {
  const phases: Record<string, number> = {}
  for (const [, stats] of years) {
    for (const [phase, strikes] of Object.entries(stats.phases)) phases[phase] = (phases[phase] ?? 0) + strikes
  }
  return phases
}

function whole(value: number): string {
  return value.toLocaleString('en')
}

function dollars(value: number): string {
  return `$${whole(Math.round(value))}`
}

function percent(part: number, of: number): string {
  return `${((100 * part) / of).toFixed(1)} %`
}

function ratio(larger: number, smaller: number): string {
  return smaller === 0 ? '∞' : (larger / smaller).toFixed(1)
}

function titleCase(name: string): string {
  return name
    .toLowerCase()
    .replace(/(^|[\s(/'-])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase())
}
