import type { AuditEntryInfo } from '../../../lib/rest-types.ts'

export type AuditEntry = AuditEntryInfo

/** What a page calls a member of a subject. The name of a bulk action says what it is. */
const WORDS: Readonly<Record<string, string>> = { runId: 'run ', bulkAction: '' }

/** Returns the subject of an action, in one line: `queue mail, job 42`. */
export function subjectOf({ subject }: AuditEntry): string {
  return Object.entries(subject)
    .map(([kind, name]) => `${WORDS[kind] ?? `${kind} `}${name}`)
    .join(', ')
}

/** Returns the route of the screen that shows the subject of an action, if there is one. */
export function placeOf({ subject: { queue, job, runId, schedule, trigger } }: AuditEntry) {
  if (queue !== undefined && job !== undefined) return { name: 'job', params: { queue, job } }
  if (runId !== undefined) return { name: 'run', params: { runId } }
  if (trigger !== undefined) return { name: 'schedules', query: { trigger } }
  if (schedule !== undefined) return { name: 'schedules', query: { schedule } }
  return queue === undefined ? undefined : { name: 'queue', params: { queue } }
}
