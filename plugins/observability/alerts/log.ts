import type { PluginKernel, StoredEvent } from '../../../kernel/index.ts'
import { createBoundedStream, createCatchUp, readKept } from '../../lib/bounded-stream.ts'
import type { Alert, AlertRule, Finding } from './alert.ts'

/** The alerts that were raised. */
const ALERTS = '_alerts'
/** The findings of processes that are not yet part of an alert. */
const NOTICES = '_alerts.noticed'
const [KEPT_ALERTS, KEPT_NOTICES] = [1000, 5000]
const PAGE = 500
/** The maximum number of items whose cool-down is remembered. */
const MAX_REMEMBERED = 5000
/** The tolerated difference between the clocks of a process and the store, in milliseconds. */
const SKEW = 60_000

/** The period in which the findings of a rule become one alert, identified by its start in milliseconds since the epoch. */
export interface Window {
  rule: AlertRule
  begin: number
}

interface Raised {
  alert: Alert
  /** The keys of all items, including the items that the alert omits. */
  keys: string[]
}

/** Keeps the findings of all processes and the raised alerts in two streams, so that all processes agree. */
export function createAlertLog(kernel: PluginKernel) {
  const alerts = createBoundedStream(kernel, KEPT_ALERTS)
  const notices = createBoundedStream(kernel, KEPT_NOTICES)
  kernel.declareStreams?.({ names: () => [ALERTS], keep: KEPT_ALERTS })
  kernel.declareStreams?.({ names: () => [NOTICES], keep: KEPT_NOTICES })
  /** When each item was last part of an alert. */
  const reported = new Map<string, number>()
  /** The newest alerts by id. */
  const raised = new Map<string, Alert>()

  function apply(events: readonly StoredEvent[]): void {
    for (const { data } of events) {
      const { alert, keys } = data as Raised
      raised.set(alert.id, alert)
      for (const key of keys) {
        const name = nameOf(alert.rule, key)
        reported.delete(name)
        reported.set(name, alert.at)
      }
    }
    dropOldest(raised, KEPT_ALERTS)
    dropOldest(reported, MAX_REMEMBERED)
  }
  const catchUp = createCatchUp(kernel, ALERTS, apply)

  return {
    /** Reads the raised alerts. Resolves with the `seq` of the newest alert. */
    catchUp,
    /** Returns the moment until which an item needs no alert because of an alert that `catchUp` has read, or 0. */
    quietUntil(rule: AlertRule, { key, since }: Finding, coolDown: number): number {
      const at = reported.get(nameOf(rule, key))
      if (at === undefined) return 0
      return since !== undefined && at >= since ? Infinity : at + coolDown
    },
    /** Stores findings. */
    async notice({ rule, begin }: Window, findings: readonly Finding[]): Promise<void> {
      await notices.append(NOTICES, { type: '_alerts.noticed', data: { rule, begin, findings } })
    },
    /** Reads the findings of all processes in a window. */
    async noticed({ rule, begin }: Window): Promise<Finding[]> {
      const found: Finding[][] = []
      for (let until = await kernel.port('events').head(NOTICES); until > 0;) {
        const after = Math.max(0, until - PAGE)
        const page = await readKept(kernel, NOTICES, { after, until, reverse: true })
        for (const { data } of page) {
          const notice = data as Window & { findings: Finding[] }
          if (notice.rule === rule && notice.begin === begin) found.push(notice.findings)
        }
        const oldest = page.at(-1)
        if (!oldest || oldest.ts < begin - SKEW) break
        until = oldest.seq - 1
      }
      return found.toReversed().flat()
    },
    find: (id: string): Alert | undefined => raised.get(id),
    /** Stores an alert. Returns false if another alert was stored after `seq`. */
    async raise(alert: Alert, keys: readonly string[], seq: number): Promise<boolean> {
      const { ok } = await alerts.append(
        ALERTS,
        { type: '_alerts.raised', data: { alert, keys } },
        { expectedSeq: seq },
      )
      return ok
    },
    /** Returns the newest alerts, newest first. */
    async newest(limit: number): Promise<Alert[]> {
      const events = await alerts.newest(ALERTS, Math.min(limit, KEPT_ALERTS))
      return events.map(({ data }) => (data as Raised).alert)
    },
  }
}
export type AlertLog = ReturnType<typeof createAlertLog>

function nameOf(rule: AlertRule, key: string): string {
  return `${rule} ${key}`
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return
    map.delete(key)
  }
}
