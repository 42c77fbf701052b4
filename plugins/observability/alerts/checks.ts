import { cutText, isReserved, redactText, type Kernel } from '../../../kernel/index.ts'
import { SCHEDULE_QUEUE, TICK_WORKER, type TickData } from '../../flow/lib/schedule-tick.ts'
import { consumedQueues } from '../lib/consumed-queues.ts'
import { createQueueCounter, isDeadLetter, type QueueCounts } from '../lib/queue-counts.ts'
import type { AlertRule, Finding } from './alert.ts'
import { queueFilter, type ActiveRules } from './options.ts'

/** How many queues one check counts. If there are more, each check counts the next page. */
const PAGE = 200
/** How many overdue ticks one check reads. */
const MAX_TICKS = 200
/** How long an error group counts as new, in milliseconds. Its alert is raised within a few checks. */
const NEW = 3_600_000
const MAX_GROUPS = 500

export type RuleFindings = [AlertRule, Finding[]][]

/** Returns a function that checks queues, workers, schedules and error groups, and returns the findings of the rules. */
export function createChecks(kernel: Kernel, rules: ActiveRules, interval: number) {
  const { backlog, 'no-worker': noWorker, 'error-group': errorGroup, 'schedule-missed': missed } = rules
  const watches = {
    backlog: queueFilter(backlog?.queues),
    noWorker: queueFilter(noWorker?.queues),
    errorGroup: queueFilter(errorGroup?.queues),
  }

  /** The page derives from the time, so it does not matter which process checks. */
  function pageOf(names: readonly string[], now: number): readonly string[] {
    const pages = Math.ceil(names.length / PAGE)
    if (pages < 2) return names
    const from = (Math.floor(now / interval) % pages) * PAGE
    return names.slice(from, from + PAGE)
  }

  async function queues(now: number): Promise<RuleFindings> {
    const all = await kernel.port('queue').getQueues()
    const watched = all.filter(
      (queue) =>
        !isReserved('queue', queue) && ((backlog && watches.backlog(queue)) || (noWorker && watches.noWorker(queue))),
    )
    // A new counter each time, because it has no cached oldest job. A cached job may already be running, and would raise a false alert.
    const counted = await createQueueCounter(kernel)(pageOf(watched.toSorted(), now))
    const ageOf = ({ oldest }: QueueCounts): number => (oldest ? now - oldest.due : -1)
    const least = Math.min(backlog?.age ?? Infinity, noWorker?.age ?? Infinity)
    const old = counted.filter((one) => ageOf(one) > least)
    if (old.length === 0) return []
    const consumed = await consumedQueues(kernel)
    const late: Finding[] = []
    const left: Finding[] = []
    for (const one of old) {
      const { queue, counts, oldest } = one
      const age = ageOf(one)
      const facts = { queue, waiting: counts.waiting, age }
      const isLeft = !consumed.has(queue)
      // Dead letters wait for an operator.
      if (isLeft && isDeadLetter(oldest!)) continue
      if (noWorker && isLeft && age > noWorker.age && watches.noWorker(queue))
        left.push({ key: queue, count: 1, facts })
      else if (backlog && age > backlog.age && watches.backlog(queue)) {
        const paused = await kernel.port('queue').isPaused(queue)
        late.push({ key: queue, count: 1, facts: { ...facts, paused } })
      }
    }
    return [
      ['backlog', late],
      ['no-worker', left],
    ]
  }

  async function errorGroups(now: number): Promise<RuleFindings> {
    if (!errorGroup) return []
    const groups = await kernel.errors({ status: 'open', limit: MAX_GROUPS })
    const fresh = groups.filter(
      ({ queue, regressed, firstSeen, lastSeen }) =>
        (regressed ? lastSeen : firstSeen) > now - NEW && !isReserved('queue', queue) && watches.errorGroup(queue),
    )
    const findings = fresh.map((group): Finding => {
      const { fingerprint: key, worker, queue, name, message, regressed, firstSeen, statusAt } = group
      const error = cutText(redactText(`${name}: ${message}`), 200)
      const facts = { worker, queue, error, again: regressed, attempts: group.count }
      return { key, count: 1, since: regressed ? statusAt! : firstSeen, facts }
    })
    return [['error-group', findings]]
  }

  /** Finds due ticks that no process has run. The process that runs a late tick reports it itself. */
  async function schedules(now: number): Promise<RuleFindings> {
    if (!missed) return []
    const states = ['waiting', 'delayed'] as const
    const query = { queue: SCHEDULE_QUEUE, name: TICK_WORKER, states, limit: MAX_TICKS }
    const ticks = await kernel.port('queue').getJobs(query)
    const overdue = ticks.filter(({ runAt, data }) => runAt < now - missed.late && !(data as TickData).start)
    const findings = overdue.map(({ data }): Finding => {
      const { name: schedule, due } = data as TickData
      return { key: schedule, count: 1, since: due, facts: { schedule, due } }
    })
    return [['schedule-missed', findings]]
  }

  return async (now: number): Promise<RuleFindings> => {
    const found = await Promise.all([backlog || noWorker ? queues(now) : [], errorGroups(now), schedules(now)])
    return found.flat()
  }
}
