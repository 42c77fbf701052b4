import type { StoredEvent } from 'nuxt-queue'

/** The events of this flow in plain words. */
const WORDS: Readonly<Record<string, string>> = {
  'flow.started': 'Run started',
  'flow.completed': 'Run completed',
  'flow.failed': 'Run failed',
  'flow.cancelled': 'Run cancelled',
  'step.queued': 'Job queued',
  'step.started': 'Job started',
  'step.completed': 'Job completed',
  'step.failed': 'Job failed',
  'step.cancelled': 'Job cancelled',
  'step.retry': 'Failed, will run again',
  'step.deferred': 'Job paused',
  'step.awaiting': 'Waits for approval',
  'step.told': 'Asked for approval',
  'step.resumed': 'Answer arrived',
  'state.set': 'State changed',
  'state.batch': 'State changed',
  'runner.log': 'Log entry',
  'client.message': 'Message to this page',
  emit: 'Event for the next step',
  'group.closed': 'All jobs are known',
}

/** What an event says to people. */
export const wordsOf = ({ type }: StoredEvent): string => WORDS[type] ?? type

const STOPS: ReadonlySet<string> = new Set([
  'step.deferred',
  'step.retry',
  'step.completed',
  'step.failed',
  'step.cancelled',
])

/** The milliseconds that a job has worked and has waited since it first started, as far as its events say. */
export function timesOf(events: readonly StoredEvent[], job: string): { worked: number; waited: number } {
  const times = { worked: 0, waited: 0 }
  let since: number | undefined
  for (const { type, ts, stepId } of events) {
    if (stepId !== job) continue
    if (type === 'step.started') {
      if (since !== undefined) times.waited += ts - since
      since = ts
    } else if (STOPS.has(type) && since !== undefined) {
      times.worked += ts - since
      since = ts
    }
  }
  return times
}
