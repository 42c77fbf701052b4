import { isQueueError, type PluginKernel } from '../../../kernel/index.ts'
import type { AlertRule, Finding } from './alert.ts'
import type { AlertLog, Window } from './log.ts'
import type { ActiveRules } from './options.ts'
import { RAISE_WORKER } from './queue.ts'

/** The maximum number of items that this process follows at once. */
const MAX_OPEN = 1000
/** The maximum number of findings in one notice. */
const MAX_FINDINGS = 100
/** After the end of a window, processes have this share of its length to store their counts. */
const GRACE = 0.1

/** An item that was found in the current window, or that needs no further alert for some time. */
interface Open extends Window {
  finding: Finding
  /** Until when further findings are only counted, in milliseconds since the epoch. */
  until: number
  /** Resolves once the first finding is stored. */
  stored: Promise<void>
  /** How many findings followed the first one. */
  further: number
  quiet: boolean
}

/**
 * Stores the findings of this process, so that they become part of an alert. A job in the queue of alerts runs at the end of the window.
 * Its id derives from the rule and the window, so all processes together enqueue one job.
 */
export function createNotices(kernel: PluginKernel, log: AlertLog, rules: ActiveRules, window: number) {
  const { clock } = kernel
  const open = new Map<string, Open>()
  let cancel: (() => void) | undefined
  let closed = false

  const windowAt = (now: number): number => Math.floor(now / window) * window

  /** Stores findings. If the window has ended in the meantime, they are also stored for the next window, which may report them. */
  async function store(rule: AlertRule, findings: readonly Finding[]): Promise<void> {
    for (;;) {
      const begin = windowAt(clock.now())
      const due = begin + (1 + GRACE) * window
      await log.notice({ rule, begin }, findings.slice(0, MAX_FINDINGS))
      await kernel.enqueue(RAISE_WORKER, { rule, begin }, { id: `raise.${rule}.${begin}`, delay: new Date(due) })
      if (clock.now() < due) return
    }
  }

  async function begin(entry: Open): Promise<void> {
    const { rule, finding } = entry
    await log.catchUp()
    const quietUntil = log.quietUntil(rule, finding, rules[rule]!.coolDown)
    if (quietUntil > clock.now()) Object.assign(entry, { quiet: true, until: quietUntil })
    else await store(rule, [finding])
  }

  /** Sets a timer for the end of the window, which is the same for all items. */
  function arm(): void {
    if (cancel || closed) return
    const now = clock.now()
    cancel = clock.setTimeout(
      () => {
        cancel = undefined
        void flush(clock.now())
      },
      windowAt(now) + window - now,
    )
  }

  /** Stores how many findings followed the first one in windows that have ended. */
  async function flush(now: number): Promise<void> {
    const ended = [...open].filter(([, { until }]) => until <= now)
    for (const [name] of ended) open.delete(name)
    if ([...open.values()].some(({ quiet }) => !quiet)) arm()
    await Promise.all(ended.map(([, entry]) => storeFurther(entry)))
  }

  async function storeFurther({ rule, begin: since, finding, further, quiet }: Open): Promise<void> {
    if (quiet || further === 0) return
    await log.notice({ rule, begin: since }, [{ ...finding, count: further }]).catch(() => {})
  }

  return {
    store,
    /**
     * Records an event. Resolves once it is certain that an alert will report the event or that no alert is needed. Further events of the
     * same item are counted in memory, so a process that is killed loses at most their number.
     *
     * @throws QueueError `STORE_UNAVAILABLE` and similar errors of the store. All other errors are reported
     */
    async record(rule: AlertRule, finding: Finding): Promise<void> {
      const now = clock.now()
      const name = `${rule} ${finding.key}`
      const known = open.get(name)
      if (known && known.until > now) {
        known.further++
        return known.stored
      }
      if (known) void storeFurther(known)
      const since = windowAt(now)
      const entry: Open = {
        ...{ rule, begin: since, finding, until: since + window, further: 0, quiet: false },
        stored: Promise.resolve(),
      }
      entry.stored = begin(entry).catch((error: unknown) => {
        open.delete(name)
        if (isQueueError(error) && /^STORE_|^KERNEL_/.test(error.code)) throw error
        kernel.reporter.error(`An alert of rule "${rule}" could not be stored.`, error)
      })
      if (open.size >= MAX_OPEN) open.delete(open.keys().next().value!)
      open.set(name, entry)
      arm()
      return entry.stored
    },
    async close(): Promise<void> {
      closed = true
      cancel?.()
      await flush(Infinity)
    },
  }
}
export type Notices = ReturnType<typeof createNotices>
