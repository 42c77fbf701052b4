import type { Packed } from './passes.ts'

/** Separates JSON texts in one string. JSON contains no control characters, so the texts need no escaping. */
export const SEPARATOR = '\x1f'

/** The number of parameters of `nq_append` that describe inline runs. */
export const INLINE_COLUMNS = 11

/**
 * Returns true if an append contains a whole run, provided that its stream does not exist yet. Such a run is stored inline,
 * as one row. An append of a single event is the end of a run that began earlier.
 */
export function isInlineRun({ options, events, followed }: Packed): boolean {
  const { run, expectedSeq, reopen } = options
  if (events.length < 2 || followed || reopen || expectedSeq !== undefined) return false
  return run?.status !== undefined && run.status !== 'running' && !run.tags?.length
}

/** Encodes inline runs for `nq_append`: one array for each of its parameters, in the order of the parameters. */
export function encodeInlineRuns(runs: readonly Packed[]): (string | null)[] {
  if (runs.length === 0) return Array.from({ length: INLINE_COLUMNS }, () => null)
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

/** Encodes texts as a PostgreSQL array literal. */
function arrayLiteral(texts: readonly (string | undefined)[]): string {
  const elements = texts.map((text) => (text === undefined ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`))
  return `{${elements.join(',')}}`
}
