/** What a rule watches. */
export const RULE_NAMES = [
  'worker-failed',
  'error-group',
  'backlog',
  'dead-letters',
  'no-worker',
  'schedule-missed',
] as const
export type AlertRule = (typeof RULE_NAMES)[number]

/** One thing that a rule has found, such as a queue or a worker. Moments and durations are in milliseconds. */
export interface AlertItem {
  /** Names it within the rule: the id of a worker, the fingerprint of a group of errors, a queue, or a schedule. */
  key: string
  /** How often it was seen in the window of the alert. 1 for what is a state rather than an event. */
  count: number
  /** A sentence about it. */
  text: string
  facts: AlertFacts
}

/** What is known about an item, by name. It never contains the data of a job. */
export type AlertFacts = Readonly<Record<string, string | number | boolean>>

/** What a destination receives. Plain data. */
export interface Alert {
  /** The same for every destination and every try. */
  id: string
  rule: AlertRule
  /** When it was raised, in milliseconds since the epoch. */
  at: number
  /** A sentence about everything in it. */
  title: string
  /** How many events it stands for, or how many items if they are states. */
  count: number
  /** At most ten items, the most frequent first. */
  items: AlertItem[]
  /** How many items were left out. */
  more: number
}

/** What a rule has found, before it becomes part of an alert. */
export interface Finding extends Omit<AlertItem, 'text'> {
  /** When it began, if it is one event that lasts. An alert that was raised since then has reported it. */
  since?: number
}

const MOST_ITEMS = 10

/** How a rule speaks about its findings. */
interface Words {
  /** Whether its findings are events, whose counts add up. Otherwise they are states. */
  counted: boolean
  one(facts: AlertFacts, count: number): string
  many(items: number, count: number): string
}

const WORDS: Readonly<Record<AlertRule, Words>> = {
  'worker-failed': {
    counted: true,
    one: ({ worker, error }, count) => `Worker "${worker}" failed ${jobs(count)} for good: ${error}`,
    many: (items, count) => `${items} workers failed ${jobs(count)} for good.`,
  },
  'error-group': {
    counted: false,
    one: ({ worker, error, again }) =>
      `Worker "${worker}" has ${again ? 'an error again that was resolved' : 'a new kind of error'}: ${error}`,
    many: (items) => `${items} kinds of errors are new, or came back after they were resolved.`,
  },
  backlog: {
    counted: false,
    one: ({ queue, age, waiting, paused }) =>
      `The oldest job of ${paused ? 'the paused queue' : 'queue'} "${queue}" has waited for ${duration(age)}, and ${waitingJobs(waiting)}.`,
    many: (items) => `${items} queues have jobs that have waited for too long.`,
  },
  'dead-letters': {
    counted: true,
    one: ({ deadLetter, queue }, count) =>
      count === 1
        ? `A job of queue "${queue}" became a dead letter in queue "${deadLetter}".`
        : `${count} jobs became dead letters in queue "${deadLetter}", the last one of queue "${queue}".`,
    many: (items, count) => `${jobs(count)} became dead letters in ${items} queues.`,
  },
  'no-worker': {
    counted: false,
    one: ({ queue, waiting }) => `No process has a worker for queue "${queue}", and ${waitingJobs(waiting)}.`,
    many: (items) => `${items} queues have waiting jobs and no worker.`,
  },
  'schedule-missed': {
    counted: true,
    one: ({ schedule, due, error }, count) => {
      const times = count > 1 ? `${count} moments, the last one ` : ''
      const why = error === undefined ? '' : `: ${error}`
      return `Schedule "${schedule}" missed ${times}${new Date(Number(due)).toISOString()}${why}`
    },
    many: (items, count) => `${items} schedules missed ${count} moments.`,
  },
}

/** Merges findings with the same key. Counts of events add up, and the newest facts count. */
export function mergeFindings(rule: AlertRule, findings: readonly Finding[]): Finding[] {
  const byKey = new Map<string, Finding>()
  for (const finding of findings) {
    const known = byKey.get(finding.key)
    const count = known && WORDS[rule].counted ? known.count + finding.count : finding.count
    byKey.set(finding.key, { ...finding, count })
  }
  return [...byKey.values()].toSorted((a, b) => b.count - a.count)
}

/** @param findings merged, at least one */
export function composeAlert(id: string, rule: AlertRule, at: number, findings: readonly Finding[]): Alert {
  const { one, many } = WORDS[rule]
  const count = findings.reduce((sum, finding) => sum + finding.count, 0)
  const items = findings.slice(0, MOST_ITEMS).map((finding): AlertItem => {
    const { key, count: seen, facts } = finding
    return { key, count: seen, text: one(facts, seen), facts }
  })
  const title = findings.length === 1 ? items[0]!.text : many(findings.length, count)
  return { id, rule, at, title, count, items, more: findings.length - items.length }
}

function jobs(count: number): string {
  return count === 1 ? '1 job' : `${count} jobs`
}

function waitingJobs(count: unknown): string {
  return count === 1 ? '1 job waits' : `${String(count)} jobs wait`
}

function duration(ms: unknown): string {
  const seconds = Math.round(Number(ms) / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
