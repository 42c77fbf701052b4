import { durationText, requiredDuration } from './moments.ts'
import type { Schedule, ScheduleOptions } from './schedules.ts'

/** A schedule in the form in which it is edited: as strings. */
export interface ScheduleDraft {
  name: string
  timing: 'cron' | 'every' | 'at'
  cron: string
  timeZone: string
  every: string
  /** A moment in the time zone of the user, in the format of a date field. */
  at: string
  kind: 'worker' | 'flow'
  target: string
  data: unknown
  overlap: 'queue' | 'skip' | 'replace'
  catchUp: 'last' | 'all' | 'none'
  jitter: string
}

/** Returns the initial values of the form, for a new schedule or an existing one. */
export function draftOf(schedule?: Schedule, timeZone: string = Intl.DateTimeFormat().resolvedOptions().timeZone) {
  const { every, at, jitter, catchUp = 'last' } = schedule ?? {}
  const draft: ScheduleDraft = {
    name: schedule?.name ?? '',
    timing: every !== undefined ? 'every' : at === undefined ? 'cron' : 'at',
    cron: schedule?.cron ?? '',
    timeZone: schedule ? (schedule.timeZone ?? '') : timeZone,
    every: every === undefined ? '' : durationText(every),
    at: at === undefined ? '' : localText(new Date(at)),
    kind: schedule?.flow === undefined ? 'worker' : 'flow',
    target: schedule?.flow ?? schedule?.worker ?? '',
    data: schedule?.data,
    overlap: schedule?.overlap ?? 'queue',
    catchUp: catchUp === false ? 'none' : catchUp,
    jitter: jitter === undefined || jitter === 0 ? '' : durationText(jitter),
  }
  return draft
}

/**
 * Returns the schedule to save. Options that the form does not show stay unchanged.
 *
 * @param before the schedule that is edited
 * @throws Error for an invalid duration or moment
 */
export function optionsOf(draft: ScheduleDraft, before?: Schedule): ScheduleOptions {
  const { kind, data, overlap, catchUp } = draft
  const target = draft.target.trim()
  const same = before?.[kind] === target
  return {
    ...timingOf(draft, before),
    [kind]: target,
    ...(same && before?.entry !== undefined && { entry: before.entry }),
    ...(before?.headers && { headers: before.headers }),
    ...(data !== undefined && { data }),
    ...(overlap !== 'queue' && { overlap }),
    ...(catchUp !== 'last' && { catchUp: catchUp === 'none' ? false : catchUp }),
    ...(draft.jitter.trim() !== '' && { jitter: requiredDuration('Spread', draft.jitter) }),
  }
}

function timingOf(draft: ScheduleDraft, before?: Schedule): ScheduleOptions {
  if (draft.timing === 'cron') {
    const timeZone = draft.timeZone.trim()
    return { cron: draft.cron.trim(), ...(timeZone !== '' && { timeZone }) }
  }
  if (draft.timing === 'every') {
    const anchor = before?.anchor
    return { every: requiredDuration('Every', draft.every), ...(anchor !== undefined && { anchor }) }
  }
  const at = new Date(draft.at)
  if (Number.isNaN(at.getTime())) throw new Error('Choose the date and the time of the start.')
  return { at: at.toISOString() }
}

function localText(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 19)
}
