import type { EventDraft, StoredEvent } from '../../../kernel/index.ts'
import { foldMemos, type MemoData, type Memos } from '../lib/step-record.ts'
import { instanceId, type StartedData } from './run.ts'

/** A run that goes on from a moment of another one, as its carry job keeps it. */
export interface Fork {
  runId: string
  from: string
  /** `seq` of the last event it shares with the other run. */
  at: number
  tags?: readonly string[]
  /** Written to its state behind the copy. */
  state?: Readonly<Record<string, unknown>>
  /** What jobs that had not ended receive instead; with `job`, the id in the other run, that one only. */
  replace?: { data: unknown; job?: string }
}

/** Data of the event behind the copy, which the run waits for. */
export interface ForkedData {
  from: string
  at: number
  replace?: Fork['replace']
}

/** The key of the event behind the copy. */
export const FORKED = 'flow.forked'

const TERMINAL = /^step\.(?:completed|failed|cancelled)$/
/** What belongs to the other run as a whole. */
const NOT_COPIED = /^flow\.(?:completed|failed|cancelled)$/

/** Data of `flow.replaced`: what the run that is copied had begun its open jobs with, itself being a copy. */
export type ReplacedData = Pick<ForkedData, 'replace'>

/**
 * The events that a fork begins with, derived from those of the other run alone. Jobs that had not ended
 * leave behind what they cannot do twice, and else run again from the start.
 *
 * @param events those of the other run up to the moment
 * @param version the version of the flow as it is now
 */
export function copyOf(events: readonly StoredEvent[], fork: Fork, version: string): EventDraft[] {
  const started = events.find(({ type }) => type === 'flow.started')!
  const { flow } = started
  const { input, step, tags: ofOther } = started.data as StartedData
  const tags = fork.tags ?? ofOther
  const forkedFrom = { runId: fork.from, at: fork.at }
  const data: StartedData = { input, step, version, ...(tags && { tags }), forkedFrom }
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

/** What a job that had not ended has done once and for all: its parts, unless it is to have other data, and what it emitted at once. */
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

/** By `seq`, the failed parts of jobs that their handlers had gone on from: others are to run again. */
function finalFailuresIn(events: readonly StoredEvent[]): Set<number> {
  const jobs = new Map<string, Memos>()
  foldMemos(jobs, events)
  const memos = [...jobs.values()].flatMap((of) => [...of.values()])
  return new Set(memos.flatMap((memo) => (memo.kind === 'failed' && memo.final ? [memo.seq] : [])))
}

/** The run that is copied is a copy itself, and had given its open jobs other data: so does this one. */
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

/** Gives a job the id that it has in the fork, in its keys as well: `end:<id>`, `step:<id>:<name>`, … */
function renamed(draft: EventDraft, idOf: (id: string) => string): EventDraft {
  const { key, stepId } = draft
  if (stepId === undefined) return draft
  const [, kind, rest = ''] = /^([a-z]+:)(.*)$/s.exec(key ?? '') ?? []
  const behind = rest.slice(stepId.length)
  const named = kind !== undefined && rest.startsWith(stepId) && /^(?:$|[:#])/.test(behind)
  return { ...draft, stepId: idOf(stepId), key: named ? `${kind}${idOf(stepId)}${behind}` : key }
}
