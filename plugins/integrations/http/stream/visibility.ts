import type { MaybePromise, Reporter, RunInfo, StoredEvent } from '../../../../kernel/index.ts'

/** How many runs are remembered. */
const MOST = 10_000
/** How many batches may wait for answers. */
const MOST_WAITING = 1_000

/** Looks a run up as it is after an event, or as it is now. */
export type RunLookup = (runId: string, event?: StoredEvent) => Promise<RunInfo | undefined>

/** Lets through what a client may see, in order. */
export interface Visibility {
  /** Calls back with the events that may be seen, at once where that is known. */
  events(events: readonly StoredEvent[], pass: (seen: readonly StoredEvent[]) => void): Promise<void> | undefined
  message(runId: string, pass: () => void): Promise<void> | undefined
  /** Answers take longer than events do: no more are taken. */
  readonly full: boolean
}

/** A stream of a run that this request has been allowed to read: only what is no run at all is kept back. */
export function ofRun(runId: string, runOf: RunLookup, reporter: Reporter): Visibility {
  return createVisibility(
    async (one, event) => (one === runId && (await runOf(one, event)) !== undefined) || undefined,
    reporter,
  )
}

/**
 * A stream of all runs: those of plugins are kept back, and those that the request may not read.
 *
 * @param mayRead asked once a run
 */
export function ofAll(runOf: RunLookup, mayRead: (runId: string) => Promise<boolean>, reporter: Reporter): Visibility {
  return createVisibility(async (runId, event) => {
    const run = await runOf(runId, event)
    return run && run.queue?.startsWith('_') !== true && (await mayRead(runId))
  }, reporter)
}

/** @param ask answers `undefined` for what is no run, and may become one with its next events */
function createVisibility(
  ask: (runId: string, event?: StoredEvent) => Promise<boolean | undefined>,
  reporter: Reporter,
): Visibility {
  const known = new Map<string, boolean>()
  let tail = Promise.resolve()
  let waiting = 0

  async function find(runId: string, event?: StoredEvent): Promise<boolean> {
    try {
      const seen = await ask(runId, event)
      if (seen === undefined) return false
      if (known.size >= MOST) known.delete(known.keys().next().value!)
      known.set(runId, seen)
      return seen
    } catch (error) {
      reporter.error(`Whether run ${runId} may be seen could not be found out; it was left out of a stream.`, error)
      return false
    }
  }

  const lookUp = (runId: string, event?: StoredEvent): MaybePromise<boolean> => known.get(runId) ?? find(runId, event)

  /** Behind what is waiting already. */
  function inTurn(act: () => Promise<void>): Promise<void> {
    waiting++
    tail = tail
      .then(act)
      .catch((error: unknown) => reporter.error('A stream could not be written.', error))
      .finally(() => waiting--)
    return tail
  }

  async function sift(events: readonly StoredEvent[]): Promise<StoredEvent[]> {
    const seen: StoredEvent[] = []
    for (const event of events) if (await lookUp(event.runId, event)) seen.push(event)
    return seen
  }

  return {
    events(events, pass) {
      if (waiting === 0 && events.every(({ runId }) => known.get(runId))) {
        pass(events)
        return undefined
      }
      return inTurn(async () => {
        const seen = await sift(events)
        if (seen.length > 0) pass(seen.length === events.length ? events : seen)
      })
    },
    message(runId, pass) {
      if (waiting === 0 && known.get(runId)) {
        pass()
        return undefined
      }
      return inTurn(async () => {
        if (await lookUp(runId)) pass()
      })
    },
    get full() {
      return waiting >= MOST_WAITING
    },
  }
}
