import type { Column } from './columns.ts'

/** The columns of a list of jobs. The first two and the last one are always shown. */
export const JOB_COLUMNS = [
  { key: 'state', label: 'State' },
  { key: 'job', label: 'Job', fill: true },
  { key: 'queue', label: 'Queue', wide: true },
  { key: 'failures', label: 'Failures', wide: true, right: true },
  { key: 'took', label: 'Run time', wide: true, right: true },
  { key: 'waited', label: 'Waited', wide: true, right: true },
  { key: 'priority', label: 'Priority', wide: true, right: true },
  { key: 'progress', label: 'Progress', wide: true, right: true },
  { key: 'created', label: 'Created', wide: true, right: true },
  { key: 'when', label: 'When', right: true },
] as const satisfies readonly Column[]

const FIXED: ReadonlySet<string> = new Set(['state', 'job', 'when'])
/** The optional columns. */
export const CHOICES: readonly Column[] = JOB_COLUMNS.filter(({ key }) => !FIXED.has(key))
const DEFAULTS = ['queue', 'failures', 'took']

/** Returns the chosen columns of an address, where `none` stands for no column. */
export function chosenOf(text: unknown): ReadonlySet<string> {
  if (typeof text !== 'string' || text === '') return new Set(DEFAULTS)
  const known = new Set(CHOICES.map(({ key }) => key))
  return new Set(text.split(',').filter((key) => known.has(key)))
}

/** Returns the chosen columns for an address, or nothing for the default columns. */
export function textOfChosen(chosen: readonly string[]): string | undefined {
  const text = chosen.join(',')
  return text === DEFAULTS.join(',') ? undefined : text || 'none'
}

/** Returns the columns to show. */
export function shownColumns(chosen: ReadonlySet<string>): Column[] {
  return JOB_COLUMNS.filter(({ key }) => FIXED.has(key) || chosen.has(key))
}
