import { checkCount, definePlugin, isUnrecoverable, type Kernel } from '../../../kernel/index.ts'
import { checkOptions } from '../../lib/check-options.ts'
import { watchOutage } from '../../lib/outage.ts'
import type { Alert } from './alert.ts'
import { createChecks } from './checks.ts'
import { createDestinations } from './destinations.ts'
import { createAlertLog, type Window } from './log.ts'
import { createNotices } from './notices.ts'
import { activeRules, alertOptions } from './options.ts'
import { ALERTS_QUEUE, RAISE_WORKER, SEND_WORKER } from './queue.ts'
import { createRaiser, type SendData } from './raise.ts'
import { watchJobs } from './watch.ts'

export type { Alert, AlertFacts, AlertItem, AlertRule } from './alert.ts'
export type { AlertsConfig } from './options.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Returns the alerts that were raised by any process, newest first. The newest 1000 are kept.
     *
     * @param options.limit default 50
     * @throws QueueError `STORE_UNAVAILABLE`, `OPTION_INVALID`
     * @example
     * for (const { at, title } of await kernel.alerts({ limit: 10 })) console.log(new Date(at), title)
     */
    alerts(options?: { limit?: number }): Promise<Alert[]>
  }
}

/** After a check, no other process checks for this share of the interval. */
const EXCLUSIVE_SHARE = 0.9

/** Sends alerts when jobs fail, wait too long or have no worker. All processes together send each alert once. */
export default definePlugin({
  name: 'alerts',
  requires: ['queue', 'events', 'limits', 'errors', 'instances', 'schedule'],
  options: alertOptions,
  async setup(kernel, options) {
    const rules = activeRules(options)
    if (rules['no-worker'] && !knowsAllWorkers(kernel)) {
      kernel.reporter.warn('Alerts of rule "no-worker" are off, because instances.heartbeat is 0.')
      delete rules['no-worker']
    }
    const destinations = createDestinations(options)
    const log = createAlertLog(kernel)
    const notices = createNotices(kernel, log, rules, options.window)
    const raise = createRaiser(kernel, log, rules, destinations)
    const look = createChecks(kernel, rules, options.interval)
    const outage = watchOutage({
      away: (error) => kernel.reporter.warn('Queues could not be checked for alerts. This is tried again.', error),
      back: () => kernel.reporter.warn('Queues can be checked for alerts again.'),
    })
    let stop: (() => void) | undefined
    let closed = false

    watchJobs(kernel, rules, notices.record)
    await kernel.registerWorker({
      id: RAISE_WORKER,
      config: { queue: ALERTS_QUEUE, attempts: 20, backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 } },
      handler: ({ data }) => raise(data as Window),
    })
    await kernel.registerWorker({
      id: SEND_WORKER,
      config: {
        queue: ALERTS_QUEUE,
        concurrency: 5,
        attempts: 12,
        backoff: { type: 'exponential', delay: 1000, maxDelay: 3_600_000, jitter: 0.2 },
      },
      async handler(job, { signal }) {
        const { alert, to } = job.data as SendData
        const send = destinations.get(to)
        try {
          // A process of another version may know it.
          if (!send) throw new Error(`This process has no destination "${to}" of alerts.`)
          await send({ alert, now: kernel.clock.now(), signal })
        } catch (error) {
          const isLast = job.attempt >= job.attempts || isUnrecoverable(error)
          if (isLast) kernel.reporter.error(`Alert "${alert.title}" was not delivered to "${to}".`, error)
          throw error
        }
      },
    })

    /** Checks, unless another process has checked in this interval. */
    async function check(): Promise<void> {
      const turn = { max: 1, duration: Math.ceil(EXCLUSIVE_SHARE * options.interval) }
      if ((await kernel.port('limits').take(ALERTS_QUEUE, turn)) > 0) return
      const now = kernel.clock.now()
      await log.catchUp()
      for (const [rule, findings] of await look(now)) {
        const fresh = findings.filter((finding) => log.quietUntil(rule, finding, rules[rule]!.coolDown) <= now)
        if (fresh.length > 0) await notices.store(rule, fresh)
      }
    }

    function arm(): void {
      stop = kernel.clock.setTimeout(() => {
        check()
          .then(outage.worked, (error: unknown) => {
            if (!closed) outage.failed(error)
          })
          .finally(() => {
            if (!closed) arm()
          })
      }, options.interval)
    }

    kernel.onWorkerStart(({ id }) => {
      if (id === RAISE_WORKER && !stop) arm()
    })
    kernel.extend({
      async alerts(options = {}) {
        const { limit = 50 } = checkOptions('alerts()', options, { limit: checkCount })
        return log.newest(limit)
      },
    })
    return async () => {
      closed = true
      stop?.()
      await notices.close()
    }
  },
})

/** Whether this process knows the workers of all processes. Without heartbeats, it knows only its own workers. */
function knowsAllWorkers({ config, port }: Kernel): boolean {
  const { heartbeat } = (config.instances ?? {}) as { heartbeat?: number }
  return heartbeat !== 0 || !port('queue').capabilities.shared
}
