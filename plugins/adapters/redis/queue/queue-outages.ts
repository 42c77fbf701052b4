import type { Reporter } from '../../../../kernel/index.ts'
import { watchOutage, type Outage } from '../../../lib/outage.ts'

/** Creates the reports of a consumer: each kind of failure is reported once, and once more when it is over. */
export function watchQueue(queue: string, reporter: Reporter): Record<'calls' | 'renewal' | 'search', Outage> {
  const watch = (fails: string, works: string): Outage =>
    watchOutage({ away: (error) => reporter.error(fails, error), back: () => reporter.warn(works) })
  const [named, leases] = [`Queue "${queue}"`, `The leases of queue "${queue}"`]
  return {
    calls: watch(`${named} could not be read or written. The call is repeated.`, `${named} is read and written again.`),
    renewal: watch(`${leases} could not be renewed.`, `${leases} are renewed again.`),
    search: watch(
      `${named} could not be searched for jobs with an expired lease.`,
      `${named} is searched for jobs with an expired lease again.`,
    ),
  }
}
