import type {
  AppendOptions,
  AppendResult,
  EventDraft,
  EventStore,
  RunFilter,
  RunInfo,
  RunPatch,
  StoredEvent,
  StreamMessage,
  SubscribeOptions,
  Unsubscribe,
} from '../../../kernel/index.ts'
import { collectReports, type Harness, type HarnessOptions, type Report } from '../harness.ts'
import { createTime, type Time } from '../time.ts'

export interface EventsHarness extends Harness {
  events: EventStore
}

export interface EventsConformanceOptions {
  name: string
  create(options: HarnessOptions): Promise<EventsHarness>
}

interface Follower {
  events: StoredEvent[]
  messages: StreamMessage[]
  cursors: (string | undefined)[]
  seqs(): number[]
  stop: Unsubscribe
}

/** The fixture of a test of an event store. */
interface EventsRig extends Time {
  events: EventStore
  reports: readonly Report[]
  rewind(ms: number): void
  append(stream: string, types: string | readonly EventDraft[], options?: AppendOptions): Promise<AppendResult>
  /** Returns the `seq`s of the events of a stream. */
  seqs(stream: string, options?: Parameters<EventStore['read']>[1]): Promise<number[]>
  follow(stream: string, options?: SubscribeOptions): Promise<Follower>
  /** Creates a run with one event. `patch` may end it. */
  run(runId: string, patch?: RunPatch): Promise<void>
  /** Returns the ids of matching runs, newest first: `ids` with one call, `pages` with a call for each page. */
  ids(filter?: RunFilter): Promise<string[]>
  pages(filter: RunFilter, limit: number): Promise<string[]>
}

export type EventsTest = (test: (rig: EventsRig) => Promise<void>) => () => Promise<void>

/** Creates the body of a test with its own fixture, which is closed even if the test fails. */
export function eventsTest(create: EventsConformanceOptions['create']): EventsTest {
  return (test) => async () => {
    const { reports, reporter } = collectReports()
    const harness = await create({ reporter })
    try {
      await test(createRig(harness, reports))
    } finally {
      await harness.dispose()
    }
  }
}

/** Parses drafts: `a b:key c` means the types a, b (with a key) and c. */
function drafts(text: string): EventDraft[] {
  return text.split(' ').map((one) => {
    const [type = '', key] = one.split(':')
    return { type, key }
  })
}

function createRig(harness: EventsHarness, reports: readonly Report[]): EventsRig {
  const { events, rewind } = harness
  const time = createTime(harness)
  const append: EventsRig['append'] = async (stream, types, options) =>
    events.append(stream, typeof types === 'string' ? drafts(types) : types, options)
  return {
    ...time,
    events,
    reports,
    append,
    rewind: (ms) => rewind?.(ms),
    seqs: async (stream, options) => (await events.read(stream, options)).map(({ seq }) => seq),
    async follow(stream, { onMessage, ...options } = {}) {
      const seen: StoredEvent[] = []
      const messages: StreamMessage[] = []
      const cursors: (string | undefined)[] = []
      const listen = (message: StreamMessage, from: string): void => {
        messages.push(message)
        time.notify()
        onMessage?.(message, from)
      }
      const stop = await events.subscribe(stream, { ...options, onMessage: listen }, (batch, cursor) => {
        seen.push(...batch)
        cursors.push(cursor)
        time.notify()
      })
      return { events: seen, messages, cursors, seqs: () => seen.map(({ seq }) => seq), stop }
    },
    ids: async (filter) => (await events.runs.list(filter)).map(({ runId }) => runId),
    async pages(filter, limit) {
      const found: RunInfo[] = []
      for (;;) {
        const page = await events.runs.list({ ...filter, limit, after: found.at(-1) })
        if (page.length === 0) return found.map(({ runId }) => runId)
        found.push(...page)
      }
    },
    async run(runId, patch) {
      await append(runId, 'begins', { run: { status: 'running', name: 'job', ...patch } })
    },
  }
}
