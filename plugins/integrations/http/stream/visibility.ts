import type { MaybePromise, Reporter, RunInfo, StoredEvent } from '../../../../kernel/index.ts'

/** The number of runs whose access is cached. */
const MAX_CACHED = 10_000
/** How many batches may wait for authorization. */
const MAX_WAITING = 1_000

/** Looks up a run as it is after an event, or as it is now. */
export type RunLookup = (runId: string, event?: StoredEvent) => Promise<RunInfo | undefined>

/** Delivers the events that a client may see, in order. */
export interface Visibility {
  /** Calls back with the events that the client may see, immediately if the access is known. */
  events(events: readonly StoredEvent[], pass: (seen: readonly StoredEvent[]) => void): Promise<void> | undefined
  message(runId: string, pass: () => void): Promise<void> | undefined
  /** Whether authorization is slower than the events, so that no more batches are accepted. */
  readonly full: boolean
}

/** Filters a stream of a run that the request may read. Only events of streams that are not runs are omitted. */
export function visibilityOfRun(runId: string, runOf: RunLookup, reporter: Reporter): Visibility {
  return createVisibility(
    async (one, event) => (one === runId && (await runOf(one, event)) !== undefined) || undefined,
    reporter,
  )
}

/**
 * Filters a stream of all runs. It omits the runs of plugins and the runs that the request may not read.
 *
 * @param mayRead called once for each run
 */
export function visibilityOfAll(
  runOf: RunLookup,
  mayRead: (runId: string) => Promise<boolean>,
  reporter: Reporter,
): Visibility {
  return createVisibility(async (runId, event) => {
    const run = await runOf(runId, event)
    return run && run.queue?.startsWith('_') !== true && (await mayRead(runId))
  }, reporter)
}

/** @param ask returns `undefined` for a stream that is not a run, but that may become one with its next events */
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
      if (known.size >= MAX_CACHED) known.delete(known.keys().next().value!)
      known.set(runId, seen)
      return seen
    } catch (error) {
      reporter.error(`A stream omitted run ${runId}, because the access to it could not be checked.`, error)
      return false
    }
  }

  const lookUp = (runId: string, event?: StoredEvent): MaybePromise<boolean> => known.get(runId) ?? find(runId, event)

  /** Runs a function after the functions that are already waiting. */
  function oneAfterAnother(act: () => Promise<void>): Promise<void> {
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
      return oneAfterAnother(async () => {
        const seen = await sift(events)
        if (seen.length > 0) pass(seen.length === events.length ? events : seen)
      })
    },
    message(runId, pass) {
      if (waiting === 0 && known.get(runId)) {
        pass()
        return undefined
      }
      return oneAfterAnother(async () => {
        if (await lookUp(runId)) pass()
      })
    },
    get full() {
      return waiting >= MAX_WAITING
    },
  }
}
