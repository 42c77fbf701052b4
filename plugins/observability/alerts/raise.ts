import type { PluginKernel } from '../../../kernel/index.ts'
import { composeAlert, mergeFindings, type Alert, type Finding } from './alert.ts'
import type { AlertLog, Window } from './log.ts'
import type { ActiveRules } from './options.ts'
import { SEND_WORKER } from './queue.ts'

/** The maximum number of items that an alert remembers for their cool-down. */
const MAX_KEYS = 1000

/** The data of a job that sends an alert to one destination. */
export interface SendData {
  alert: Alert
  /** The name of the destination. Its address and its secret stay in the configuration. */
  to: string
}

/**
 * Returns the handler that turns the findings of a window into an alert, and enqueues a job for each destination. If the process dies
 * before it has finished, the next one finds the same alert in the log, and enqueues jobs with the same ids.
 */
export function createRaiser(
  kernel: PluginKernel,
  log: AlertLog,
  rules: ActiveRules,
  destinations: ReadonlyMap<string, unknown>,
) {
  /** Returns the findings that need an alert now. */
  function pending({ rule }: Window, findings: readonly Finding[], now: number): Finding[] {
    const { coolDown, min } = { min: 1, ...rules[rule]! }
    const merged = mergeFindings(rule, findings)
    return merged.filter((finding) => finding.count >= min && log.quietUntil(rule, finding, coolDown) <= now)
  }

  async function raise(window: Window): Promise<Alert | undefined> {
    const { rule, begin } = window
    const id = `${rule}.${begin}`
    const found = await log.noticed(window)
    for (;;) {
      const seq = await log.catchUp()
      const known = log.find(id)
      if (known) return known
      const now = kernel.clock.now()
      const findings = rules[rule] ? pending(window, found, now) : []
      if (findings.length === 0) return undefined
      const alert = composeAlert(id, rule, now, findings)
      const keys = findings.slice(0, MAX_KEYS).map(({ key }) => key)
      // In the meantime, another alert may have reported some of the findings.
      if (await log.raise(alert, keys, seq)) return alert
    }
  }

  return async (window: Window): Promise<string | undefined> => {
    const alert = await raise(window)
    if (!alert) return undefined
    await kernel.enqueueMany(
      [...destinations.keys()].map((to) => {
        const data: SendData = { alert, to }
        return { worker: SEND_WORKER, data, options: { id: `send.${alert.id}.${to}` } }
      }),
    )
    return alert.id
  }
}
