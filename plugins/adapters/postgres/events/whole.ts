import type { Packed } from './rounds.ts'

/** Stands between JSON texts, which hold no control characters: their many quotes need not be escaped. */
export const SEPARATOR = '\x1f'

/** How many parameters whole runs are. */
export const WHOLE_COLUMNS = 11

/**
 * Whether an append is all there is to a run, if its stream is not there yet: such a one is stored as one
 * row. A single event is the end of a run that has begun before.
 */
export function isWhole({ options, events, followed }: Packed): boolean {
  const { run, expectedSeq, reopen } = options
  if (events.length < 2 || followed || reopen || expectedSeq !== undefined) return false
  return run?.status !== undefined && run.status !== 'running' && !run.tags?.length
}

/** Whole runs as `nq_append` takes them: a list for each column. */
export function encodeWhole(runs: readonly Packed[]): (string | null)[] {
  if (runs.length === 0) return Array.from({ length: WHOLE_COLUMNS }, () => null)
  const column = (of: (packed: Packed) => string | undefined): string => arrayLiteral(runs.map(of))
  return [
    column(({ stream }) => stream),
    `{${runs.map(({ events }) => events.length).join(',')}}`,
    column(({ options }) => options.unless),
    column(({ options }) => options.fence?.job),
    `{${runs.map(({ options }) => options.fence?.token ?? 'NULL').join(',')}}`,
    column(({ options }) => options.run!.status),
    column(({ options }) => options.run!.name),
    column(({ options }) => options.run!.queue),
    column(({ options }) => options.run!.jobId),
    column(({ options }) => options.run!.flow),
    runs.map(({ events }) => `[{${events.join('},{')}}]`).join(SEPARATOR),
  ]
}

/** Texts as the value of an array parameter. */
function arrayLiteral(texts: readonly (string | undefined)[]): string {
  const elements = texts.map((text) => (text === undefined ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`))
  return `{${elements.join(',')}}`
}
