import {
  assertFree,
  checkKeys,
  checkTags,
  checkText,
  QueueError,
  type Kernel,
  type StoredEvent,
} from '../../../kernel/index.ts'
import type { Advancer } from './advancer.ts'
import { copyOf, FORKED, type Fork } from './copy.ts'
import type { FlowEngine } from './engine.ts'
import type { StartedData } from './run.ts'

/** How many events are copied in one append. */
const CHUNK = 500

const RERUN_OPTIONS = ['input', 'state', 'id', 'tags']

export interface RerunOptions {
  /** New data for the step. Default: the data of the original run. */
  input?: unknown
  /** Keys to write to the state before anything runs. Other keys keep their values. */
  state?: Readonly<Record<string, unknown>>
  /** The `runId` of the fork. If a fork with this id exists, no new fork is created. Default: a new id. */
  id?: string
  /** Default: the tags of the original run. */
  tags?: readonly string[]
}

export interface ForkOptions extends RerunOptions {
  /** The `seq` of the last event that both runs share, or a date. Default: the newest event. */
  at?: number | Date
  /** New data for each job that had not ended. These jobs then run their sub-steps again. */
  input?: unknown
}

/** The result of a fork. */
export interface ForkedRun {
  runId: string
  /** True when a fork with that id existed already, so nothing was done. */
  deduplicated: boolean
}

/** Creates runs that begin with the history of other runs. */
export function createForks(kernel: Kernel, engine: FlowEngine) {
  const store = kernel.port('events')

  async function historyOf(flow: string, runId: string): Promise<StoredEvent[]> {
    const events = await store.read(runId)
    if (flowOf(events) === flow) return events
    const hint = 'It may not have begun, or it may have expired.'
    throw new QueueError('RUN_NOT_FOUND', `Flow "${flow}" has no run "${runId}" to fork. ${hint}`)
  }

  /** Copies the history. It resumes an unfinished copy: the events in the stream are the beginning of the copy. */
  async function copy(fork: Fork, events?: readonly StoredEvent[]): Promise<void> {
    const shared = events ?? (await store.read(fork.from, { until: fork.at }))
    const flow = flowOf(shared)
    if (flow === undefined) return assertCopied(fork)
    const drafts = copyOf(shared, fork, engine.graphOf(flow))
    const { tags } = drafts[0]!.data as StartedData
    for (let head = 0; head < drafts.length;) {
      const run = head === 0 ? { name: flow, flow, ...(tags && { tags: [...tags] }) } : undefined
      const chunk = drafts.slice(head, head + CHUNK)
      const result = await store.append(fork.runId, chunk, { expectedSeq: head, unless: FORKED, run })
      if (!result.ok) {
        await assertOwn(fork)
        if (result.reason !== 'expectedSeq') return
      }
      head = result.head
    }
  }

  /** @throws QueueError `OPTION_INVALID` when the stream belongs to another run */
  async function assertOwn({ runId, from }: Fork): Promise<void> {
    const started = await store.byKey(runId, 'flow.started')
    if ((started?.data as StartedData | undefined)?.forkedFrom?.runId === from) return
    const hint = 'Omit "id", or pass an id that is not taken.'
    throw new QueueError('OPTION_INVALID', `Run "${runId}" exists already and is not a fork of "${from}". ${hint}`, {
      retryable: false,
    })
  }

  /** @throws QueueError `RUN_NOT_FOUND` when the original run expired before the copy was complete */
  async function assertCopied({ runId, from }: Fork): Promise<void> {
    if (await store.byKey(runId, FORKED)) return
    const message = `Run "${from}" expired before its fork "${runId}" was complete. Start the flow again.`
    throw new QueueError('RUN_NOT_FOUND', message, { retryable: false })
  }

  async function begin(
    advancer: Advancer,
    events: readonly StoredEvent[],
    { id, tags, state }: RerunOptions,
    rest: Pick<Fork, 'from' | 'at' | 'replace'>,
  ): Promise<ForkedRun> {
    const runId = id ?? kernel.newId()
    checkText('Option "id" of a fork', runId)
    assertFree('run', runId)
    if (tags !== undefined) checkTags('Option "tags" of a fork', tags)
    const fork: Fork = { runId, ...rest, ...(tags && { tags }), ...(state && { state }) }
    if (id !== undefined && (await store.head(runId)) > 0) await assertOwn(fork)
    const { deduplicated } = await advancer.later({ runId, fork })
    if (deduplicated) return { runId, deduplicated }
    await copy(
      fork,
      events.filter(({ seq }) => seq <= fork.at),
    )
    await engine.advance(runId, { repair: true })
    return { runId, deduplicated }
  }

  return {
    copy: (fork: Fork) => copy(fork),
    async fork(advancer: Advancer, flow: string, from: string, options: ForkOptions): Promise<ForkedRun> {
      checkKeys(`The fork of a run of flow "${flow}"`, options, ['at', ...RERUN_OPTIONS])
      const events = await historyOf(flow, from)
      const at = seqOf(events, options.at)
      const replace = 'input' in options && { replace: { data: options.input } }
      return begin(advancer, events, options, { from, at, ...replace })
    },
    async rerunFrom(
      advancer: Advancer,
      flow: string,
      from: string,
      step: string,
      options: RerunOptions,
    ): Promise<ForkedRun> {
      checkKeys(`The rerun of a run of flow "${flow}"`, options, RERUN_OPTIONS)
      const events = await historyOf(flow, from)
      const { seq, stepId: job } = beginningOf(events, step)
      const replace = 'input' in options && { replace: { data: options.input, job } }
      return begin(advancer, events, options, { from, at: seq - 1, ...replace })
    },
  }
}
export type Forks = ReturnType<typeof createForks>

function flowOf(events: readonly StoredEvent[]): string | undefined {
  return events.find(({ type }) => type === 'flow.started')?.flow
}

/** @throws QueueError `OPTION_INVALID` for a moment before the start of the run, or in the future */
function seqOf(events: readonly StoredEvent[], at: number | Date | undefined): number {
  const head = events.at(-1)!.seq
  if (at === undefined) return head
  const seq = typeof at === 'number' ? at : (events.findLast(({ ts }) => ts <= at.getTime())?.seq ?? 0)
  const begun = events.find(({ type }) => type === 'flow.started')!.seq
  if (Number.isInteger(seq) && seq >= begun && seq <= head) return seq
  const expected = `the seq of an event from ${begun} to ${head}, or a date after the start of the run`
  throw new QueueError('OPTION_INVALID', `Option "at" of a fork must be ${expected}; got ${String(at)}.`, {
    details: { option: 'at' },
  })
}

/**
 * Returns the event with which a step began, or with which it ended without a start. `step` is the id of a job, or the name of a step,
 * which selects its first job.
 */
function beginningOf(events: readonly StoredEvent[], step: string): StoredEvent {
  const began = events.filter(({ type }) => /^step\.(?:started|completed|failed|cancelled)$/.test(type))
  const found = began.find(({ stepId }) => stepId === step) ?? began.find((event) => event.step === step)
  if (found) return found
  const known = [...new Set(began.map((event) => event.step))].map((name) => `"${name}"`).join(', ')
  const message = `The run has no step "${step}" that has begun. Steps that have: ${known || 'none'}.`
  throw new QueueError('OPTION_INVALID', message, { details: { option: 'step' } })
}
