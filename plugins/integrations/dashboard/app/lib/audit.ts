import type { AuditEntryInfo } from '../../../lib/rest-types.ts'

export type AuditEntry = AuditEntryInfo

/** Returns what an action was about, in one line: `queue mail, job 42`. */
export function subjectOf({ subject }: AuditEntry): string {
  return Object.entries(subject)
    .map(([kind, name]) => `${kind === 'runId' ? 'run' : kind} ${name}`)
    .join(', ')
}

/** Returns where the page shows what an action was about, if it has a screen. */
export function placeOf({ subject: { queue, job, runId, schedule, trigger } }: AuditEntry) {
  if (queue !== undefined && job !== undefined) return { name: 'job', params: { queue, job } }
  if (runId !== undefined) return { name: 'run', params: { runId } }
  if (trigger !== undefined) return { name: 'schedules', query: { trigger } }
  if (schedule !== undefined) return { name: 'schedules', query: { schedule } }
  return queue === undefined ? undefined : { name: 'queue', params: { queue } }
}
