import {
  assertFree,
  checkKeys,
  checkTags,
  checkText,
  QueueError,
  type Kernel,
  type StoredEvent,
} from '../../../kernel/index.ts'
import type { Carrier } from './carry.ts'
import { copyOf, FORKED, type Fork } from './copy.ts'
import type { FlowEngine } from './engine.ts'
import type { StartedData } from './run.ts'

/** How many events are copied in one append. */
const CHUNK = 500

const RERUN_OPTIONS = ['input', 'state', 'id', 'tags']

export interface RerunOptions {
  /** What the step receives instead. */
  input?: unknown
  /** Written to the state before anything runs, keys beside those that are there. */
  state?: Readonly<Record<string, unknown>>
  /** Forks to a run of this id only if there is none; it is also its `runId`. Default: one of its own. */
  id?: string
  /** Default: those of the run. */
  tags?: readonly string[]
}

export interface ForkOptions extends RerunOptions {
  /** The `seq` of the last event that both share, or a date. Default: the newest event. */
  at?: number | Date
  /** What each job receives that had not ended; it then does its sub-steps again as well. */
  input?: unknown
}

/** What a fork answers. */
export interface ForkedRun {
  runId: string
  /** True when there was a fork of that id already and nothing was done. */
  deduplicated: boolean
}

/** Makes runs that have the history of others. */
export function createForks(kernel: Kernel, engine: FlowEngine) {
  const store = kernel.port('events')

  async function historyOf(flow: string, runId: string): Promise<StoredEvent[]> {
    const events = await store.read(runId)
    if (flowOf(events) === flow) return events
    const hint = 'It may not have begun, or have expired.'
    throw new QueueError('RUN_NOT_FOUND', `Flow "${flow}" has no run "${runId}" to start from. ${hint}`)
  }

  /** Goes on where whoever began the copy has stopped: what stands in the stream is the beginning of it. */
  async function copy(fork: Fork, events?: readonly StoredEvent[]): Promise<void> {
    const shared = events ?? (await store.read(fork.from, { until: fork.at }))
    const flow = flowOf(shared)
    if (flow === undefined) return assertCopied(fork)
    const drafts = copyOf(shared, fork, engine.graphOf(flow).version)
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

  /** @throws QueueError `OPTION_INVALID` when the stream is that of another run */
  async function assertOwn({ runId, from }: Fork): Promise<void> {
    const started = await store.byKey(runId, 'flow.started')
    if ((started?.data as StartedData | undefined)?.forkedFrom?.runId === from) return
    const hint = 'Leave "id" out, or give one that is not taken.'
    throw new QueueError('OPTION_INVALID', `Run "${runId}" is there already and is no fork of "${from}". ${hint}`, {
      retryable: false,
    })
  }

  /** @throws QueueError `RUN_NOT_FOUND` when the other run has expired before it was copied */
  async function assertCopied({ runId, from }: Fork): Promise<void> {
    if (await store.byKey(runId, FORKED)) return
    const message = `Run "${from}" has expired before its fork "${runId}" was complete. Start the flow again.`
    throw new QueueError('RUN_NOT_FOUND', message, { retryable: false })
  }

  async function begin(
    carrier: Carrier,
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
    const { deduplicated } = await carrier.later({ runId, fork })
    if (deduplicated) return { runId, deduplicated }
    await copy(
      fork,
      events.filter(({ seq }) => seq <= fork.at),
    )
    await engine.carryOn(runId, { repair: true })
    return { runId, deduplicated }
  }

  return {
    copy: (fork: Fork) => copy(fork),
    async fork(carrier: Carrier, flow: string, from: string, options: ForkOptions): Promise<ForkedRun> {
      checkKeys(`The fork of a run of flow "${flow}"`, options, ['at', ...RERUN_OPTIONS])
      const events = await historyOf(flow, from)
      const at = seqOf(events, options.at)
      const replace = 'input' in options && { replace: { data: options.input } }
      return begin(carrier, events, options, { from, at, ...replace })
    },
    async rerunFrom(
      carrier: Carrier,
      flow: string,
      from: string,
      step: string,
      options: RerunOptions,
    ): Promise<ForkedRun> {
      checkKeys(`The rerun of a run of flow "${flow}"`, options, RERUN_OPTIONS)
      const events = await historyOf(flow, from)
      const { seq, stepId: job } = beginningOf(events, step)
      const replace = 'input' in options && { replace: { data: options.input, job } }
      return begin(carrier, events, options, { from, at: seq - 1, ...replace })
    },
  }
}
export type Forks = ReturnType<typeof createForks>

function flowOf(events: readonly StoredEvent[]): string | undefined {
  return events.find(({ type }) => type === 'flow.started')?.flow
}

/** @throws QueueError `OPTION_INVALID` for a moment at which the run had not begun, or that has not come */
function seqOf(events: readonly StoredEvent[], at: number | Date | undefined): number {
  const head = events.at(-1)!.seq
  if (at === undefined) return head
  const seq = typeof at === 'number' ? at : (events.findLast(({ ts }) => ts <= at.getTime())?.seq ?? 0)
  const begun = events.find(({ type }) => type === 'flow.started')!.seq
  if (Number.isInteger(seq) && seq >= begun && seq <= head) return seq
  const expected = `the seq of an event from ${begun} to ${head}, or a date after the start of the run`
  throw new QueueError('OPTION_INVALID', `A run is forked at ${expected}; got ${String(at)}.`, {
    details: { option: 'at' },
  })
}

/** Where a step began, or ended without having begun; of several jobs the first, or the one of that id. */
function beginningOf(events: readonly StoredEvent[], step: string): StoredEvent {
  const began = events.filter(({ type }) => /^step\.(?:started|completed|failed|cancelled)$/.test(type))
  const found = began.find(({ stepId }) => stepId === step) ?? began.find((event) => event.step === step)
  if (found) return found
  const known = [...new Set(began.map((event) => event.step))].map((name) => `"${name}"`).join(', ')
  const message = `The run has not run a step "${step}". It has run: ${known || 'none'}.`
  throw new QueueError('OPTION_INVALID', message, { details: { option: 'step' } })
}
