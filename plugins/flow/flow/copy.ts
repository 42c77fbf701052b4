import type { EventDraft, StoredEvent } from '../../../kernel/index.ts'
import { foldMemos, type MemoData, type Memos } from '../lib/step-record.ts'
import type { FlowGraph } from './graph.ts'
import { instanceId, type StartedData } from './run.ts'

/** A run that continues from a moment of another run. This is also the data that the advance job of the fork stores. */
export interface Fork {
  runId: string
  from: string
  /** `seq` of the last event that it shares with the original run. */
  at: number
  tags?: readonly string[]
  /** Written to the state of the fork after the copy. */
  state?: Readonly<Record<string, unknown>>
  /** New data for jobs that had not ended. With `job`, an id in the original run, only for that job. */
  replace?: { data: unknown; job?: string }
}

/** Data of the event after the copy. The run does not start before it. */
export interface ForkedData {
  from: string
  at: number
  replace?: Fork['replace']
}

/** The key of the event after the copy. */
export const FORKED = 'flow.forked'

const TERMINAL = /^step\.(?:completed|failed|cancelled)$/
/** Events that belong to the original run as a whole. */
const NOT_COPIED = /^flow\.(?:completed|failed|cancelled)$/

/** Data of `flow.replaced`: the replacement data of the original run, if that run is a fork itself. */
export type ReplacedData = Pick<ForkedData, 'replace'>

/**
 * Returns the events that a fork begins with, derived from the events of the original run alone. Jobs that had
 * not ended keep the results that must not be produced twice, and run again from the start.
 *
 * @param events the events of the original run up to the moment
 * @param current the flow of this process
 */
export function copyOf(
  events: readonly StoredEvent[],
  fork: Fork,
  current: Pick<FlowGraph, 'version' | 'pin'>,
): EventDraft[] {
  const started = events.find(({ type }) => type === 'flow.started')!
  const { flow } = started
  const { input, step, tags: ofOther, headers } = started.data as StartedData
  const tags = fork.tags ?? ofOther
  const forkedFrom = { runId: fork.from, at: fork.at }
  const { version, pin } = current
  const data: StartedData = { input, step, version, ...(tags && { tags }), ...(headers && { headers }), forkedFrom }
  if (pin) data.pin = true
  const begun = { ...draftOf(started), stepId: instanceId(fork.runId, step), data }

  const ended = new Set(events.flatMap(({ type, stepId }) => (TERMINAL.test(type) && stepId ? [stepId] : [])))
  const idOf = (id: string): string => {
    if (id === started.stepId) return begun.stepId
    return id.startsWith(`${fork.from}.`) ? `${fork.runId}${id.slice(fork.from.length)}` : id
  }
  const finalFailures = finalFailuresIn(events)
  const copied = events
    .filter((event) => event !== started && !NOT_COPIED.test(event.type))
    .filter(
      (event) => event.stepId === undefined || ended.has(event.stepId) || outlives(event, fork.replace, finalFailures),
    )
    .flatMap((event) => (event.type === 'flow.forked' ? replaced(event, idOf) : [renamed(draftOf(event), idOf)]))

  const drafts: EventDraft[] = [begun, ...copied]
  if (fork.state) {
    const changes = Object.entries(fork.state).map(([key, value]) => ({ key, value }))
    drafts.push({ type: 'state.batch', data: { changes }, flow })
  }
  const { replace } = fork
  const forked: ForkedData = { from: fork.from, at: fork.at }
  if (replace) forked.replace = renamedReplace(replace, idOf)
  return [...drafts, { type: 'flow.forked', key: FORKED, flow, data: forked }]
}

/** Whether the fork keeps an event of a job that had not ended: immediate emits, and sub-steps unless the job gets new data. */
function outlives(
  { type, key, stepId, seq }: StoredEvent,
  replace: Fork['replace'],
  finalFailures: ReadonlySet<number>,
): boolean {
  if (type === 'step.queued') return true
  if (type === 'emit') return key !== undefined
  const replaced = replace !== undefined && (replace.job ?? stepId) === stepId
  return !replaced && (type === 'step.memo' || type === 'step.resumed' || finalFailures.has(seq))
}

/** Returns the `seq` of each failed sub-step that its handler caught and continued from. Other failed sub-steps run again. */
function finalFailuresIn(events: readonly StoredEvent[]): Set<number> {
  const jobs = new Map<string, Memos>()
  foldMemos(jobs, events)
  const memos = [...jobs.values()].flatMap((of) => [...of.values()])
  return new Set(memos.flatMap((memo) => (memo.kind === 'failed' && memo.final ? [memo.seq] : [])))
}

/** Repeats the replacement of an original run that is a fork itself and gave new data to its open jobs. */
function replaced({ flow, data }: StoredEvent, idOf: (id: string) => string): EventDraft[] {
  const { replace } = data as ForkedData
  if (!replace) return []
  const kept: ReplacedData = { replace: renamedReplace(replace, idOf) }
  return [{ type: 'flow.replaced', flow, data: kept }]
}

function renamedReplace(replace: NonNullable<Fork['replace']>, idOf: (id: string) => string) {
  return { ...replace, ...(replace.job !== undefined && { job: idOf(replace.job) }) }
}

function draftOf({ type, data, key, flow, step, stepId, attempt }: StoredEvent): EventDraft {
  const kept = type === 'step.memo.failed' ? { ...(data as MemoData), final: true } : data
  return { type, data: kept, key, flow, step, stepId, attempt }
}

/** Replaces the id of a job with its id in the fork, also in keys such as `end:<id>` and `step:<id>:<name>`. */
function renamed(draft: EventDraft, idOf: (id: string) => string): EventDraft {
  const { key, stepId } = draft
  if (stepId === undefined) return draft
  const [, kind, rest = ''] = /^([a-z]+:)(.*)$/s.exec(key ?? '') ?? []
  const suffix = rest.slice(stepId.length)
  const named = kind !== undefined && rest.startsWith(stepId) && /^(?:$|[:#])/.test(suffix)
  return { ...draft, stepId: idOf(stepId), key: named ? `${kind}${idOf(stepId)}${suffix}` : key }
}
