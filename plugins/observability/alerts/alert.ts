/** The names of the rules. */
export const RULE_NAMES = [
  'worker-failed',
  'error-group',
  'backlog',
  'dead-letters',
  'no-worker',
  'schedule-missed',
] as const
export type AlertRule = (typeof RULE_NAMES)[number]

/** A finding of a rule, such as a queue or a worker. Moments and durations are in milliseconds. */
export interface AlertItem {
  /** Identifies the item within the rule: the id of a worker, the fingerprint of an error group, a queue, or a schedule. */
  key: string
  /** How often the item was found in the window of the alert. 1 for a state. */
  count: number
  /** A sentence that describes the item. */
  text: string
  facts: AlertFacts
}

/** The facts about an item, by name. They never contain the data of a job. */
export type AlertFacts = Readonly<Record<string, string | number | boolean>>

/** An alert, as a destination receives it. Plain data. */
export interface Alert {
  /** The same for every destination and every attempt to send. */
  id: string
  rule: AlertRule
  /** When it was raised, in milliseconds since the epoch. */
  at: number
  /** A sentence that summarizes the alert. */
  title: string
  /** The number of events in the alert, or the number of items if the items are states. */
  count: number
  /** At most ten items, the most frequent first. */
  items: AlertItem[]
  /** How many items were omitted. */
  more: number
}

/** A finding of a rule, before it becomes part of an alert. */
export interface Finding extends Omit<AlertItem, 'text'> {
  /** When the finding began, if it is a lasting state. An alert that was raised since then has already reported it. */
  since?: number
}

const MAX_ITEMS = 10

/** How a rule describes its findings. */
interface Words {
  /** Whether the findings are events, whose counts add up, or states. */
  counted: boolean
  one(facts: AlertFacts, count: number): string
  many(items: number, count: number): string
}

const WORDS: Readonly<Record<AlertRule, Words>> = {
  'worker-failed': {
    counted: true,
    one: ({ worker, error }, count) => `Worker "${worker}" failed ${jobs(count)} permanently: ${error}`,
    many: (items, count) => `${items} workers failed ${jobs(count)} permanently.`,
  },
  'error-group': {
    counted: false,
    one: ({ worker, error, again }) =>
      `Worker "${worker}" has ${again ? 'a resolved error again' : 'a new kind of error'}: ${error}`,
    many: (items) => `${items} error groups are new or occurred again after they were resolved.`,
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
        : `${count} jobs became dead letters in queue "${deadLetter}", most recently from queue "${queue}".`,
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
      const times = count > 1 ? `${count} moments, most recently ` : ''
      const why = error === undefined ? '' : `: ${error}`
      return `Schedule "${schedule}" missed ${times}${new Date(Number(due)).toISOString()}${why}`
    },
    many: (items, count) => `${items} schedules missed ${count} moments.`,
  },
}

/** Merges findings with the same key. Adds up counts of events, and keeps the newest facts. */
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
  const items = findings.slice(0, MAX_ITEMS).map((finding): AlertItem => {
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
