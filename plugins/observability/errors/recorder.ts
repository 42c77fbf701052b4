import { randomBytes } from 'node:crypto'
import type { PluginKernel, RunContext, SerializedError } from '../../../kernel/index.ts'
import { watchOutage } from '../../lib/outage.ts'
import { fingerprintOf, shapeOf, type ErrorShape } from './fingerprint.ts'
import { merge, type SeenGroup } from './groups.ts'
import type { ErrorStore } from './store.ts'

/** Milliseconds between two reports of a process. */
const INTERVAL = 1000
/**
 * The maximum number of groups in a report. Further groups are counted together, so that many kinds of errors do not use much
 * memory.
 */
const MAX_GROUPS = 100
/** How many characters of a message an example keeps. */
const EXAMPLE = 200
/** The group for all other errors. Names that begin with "_" belong to plugins. */
const REST = named({
  name: 'Error',
  message: 'Errors of further kinds, beyond the number that a process reports in one second',
  queue: '_rest',
  worker: '_rest',
})

/** Collects the failures of this process, and reports them once a second. */
export function createErrorRecorder(kernel: PluginKernel, store: ErrorStore) {
  const outage = watchOutage({
    away: (error) =>
      kernel.reporter.warn('Error groups cannot be stored. This process keeps them until they can be.', error),
    back: () => kernel.reporter.warn('Error groups can be stored again.'),
  })
  let seen = new Map<string, SeenGroup>()
  /** The report that is being appended or whose append has failed. */
  let report: { id: string; groups: Map<string, SeenGroup>; doubtful: boolean } | undefined
  let flushing: Promise<void> = Promise.resolve()
  let cancel: (() => void) | undefined
  let closed = false

  function arm(): void {
    if (closed || cancel) return
    cancel = kernel.clock.setTimeout(() => {
      cancel = undefined
      flush().catch(() => {})
    }, INTERVAL)
  }

  function take(): typeof report {
    if (seen.size === 0) return undefined
    const groups = seen
    seen = new Map()
    return { id: randomBytes(9).toString('base64url'), groups, doubtful: false }
  }

  /** Appends the seen failures. Rejects if the store does not accept them; they are then appended later. */
  function flush(): Promise<void> {
    return (flushing = flushing
      .catch(() => {})
      .then(async () => {
        for (report ??= take(); report; report = take()) {
          try {
            const { id, groups, doubtful } = report
            if (!doubtful || !(await store.isStored(id))) await store.append(id, [...groups.values()])
            outage.worked()
          } catch (error) {
            report.doubtful = true
            if (!closed) outage.failed(error)
            arm()
            throw error
          }
        }
      }))
  }

  return {
    flush,
    add({ job, worker, runId }: RunContext, error: SerializedError): void {
      const at = kernel.clock.now()
      const jobs = [{ id: job.id, runId, at, message: error.message.slice(0, EXAMPLE) }]
      const times = { count: 1, firstSeen: at, lastSeen: at, jobs }
      const own = named({ ...shapeOf(error), queue: worker.queue.name, worker: worker.id })
      const kind = seen.size < MAX_GROUPS || seen.has(own.fingerprint) ? own : REST
      const known = seen.get(kind.fingerprint)
      if (known) merge(known, { ...kind, ...times })
      else seen.set(kind.fingerprint, { ...kind, ...times })
      arm()
    },
    async close(): Promise<void> {
      closed = true
      cancel?.()
      await flush().catch(() => {})
    },
  }
}

function named<K extends ErrorShape & Pick<SeenGroup, 'queue' | 'worker'>>(kind: K): K & { fingerprint: string } {
  return { ...kind, fingerprint: fingerprintOf(kind.queue, kind.worker, kind) }
}
