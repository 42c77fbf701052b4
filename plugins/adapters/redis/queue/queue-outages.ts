import type { Reporter } from '../../../../kernel/index.ts'
import { watchOutage, type Outage } from '../../../lib/outage.ts'

/** Reports what fails again and again for a queue once, and once that it works again. */
export function watchQueue(queue: string, reporter: Reporter): Record<'turns' | 'renewal' | 'search', Outage> {
  const watch = (fails: string, works: string): Outage =>
    watchOutage({ away: (error) => reporter.error(fails, error), back: () => reporter.warn(works) })
  const [named, leases] = [`Queue "${queue}"`, `The leases of queue "${queue}"`]
  return {
    turns: watch(`${named} could not be read or written; trying again.`, `${named} is read and written again.`),
    renewal: watch(`${leases} could not be renewed.`, `${leases} are renewed again.`),
    search: watch(`${named} could not be searched for lost jobs.`, `${named} is searched for lost jobs again.`),
  }
}
