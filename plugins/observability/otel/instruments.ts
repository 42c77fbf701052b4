import type { Attributes, Meter } from '@opentelemetry/api'

/** The boundaries of durations that the conventions recommend, in seconds. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

export interface Instruments {
  sent(attributes: Attributes, seconds: number, jobs: number): void
  processed(attributes: Attributes, seconds: number, wait: number): void
  retried(attributes: Attributes): void
  /** A job has failed permanently and becomes a dead letter. */
  buried(attributes: Attributes): void
  /** A tick of a schedule was late. */
  late(seconds: number): void
  /** A run has ended. Times are in seconds. */
  ended(attributes: Attributes, seconds: number): void
  appended(seconds: number): void
}

/** Creates the instruments of the conventions for messaging, and our own. */
export function createInstruments(meter: Meter): Instruments {
  const seconds = { unit: 's', advice: { explicitBucketBoundaries: BOUNDARIES } }
  const sent = meter.createCounter('messaging.client.sent.messages', {
    unit: '{message}',
    description: 'Jobs that were enqueued.',
  })
  const sending = meter.createHistogram('messaging.client.operation.duration', {
    ...seconds,
    description: 'How long enqueueing took.',
  })
  const consumed = meter.createCounter('messaging.client.consumed.messages', {
    unit: '{message}',
    description: 'Attempts that were started.',
  })
  const processing = meter.createHistogram('messaging.process.duration', {
    ...seconds,
    description: 'How long handlers ran.',
  })
  const waiting = meter.createHistogram('nuxt_queue.job.wait.duration', {
    ...seconds,
    description: 'How long jobs waited from the moment they were due.',
  })
  const retries = meter.createCounter('nuxt_queue.job.retries', {
    unit: '{attempt}',
    description: 'Attempts that failed and are followed by another one.',
  })
  const letters = meter.createCounter('nuxt_queue.job.dead_letters', {
    unit: '{job}',
    description: 'Jobs that failed permanently and became dead letters, by the queue in which they failed.',
  })
  const lag = meter.createHistogram('nuxt_queue.schedule.lag', {
    ...seconds,
    description: 'How late the ticks of schedules were.',
  })
  const running = meter.createHistogram('nuxt_queue.run.duration', {
    ...seconds,
    description: 'How long runs took, by flow and status.',
  })
  const appending = meter.createHistogram('nuxt_queue.events.append.duration', {
    ...seconds,
    description: 'How long storing events took.',
  })
  return {
    sent(attributes, duration, jobs) {
      sent.add(jobs, attributes)
      sending.record(duration, attributes)
    },
    processed(attributes, duration, wait) {
      consumed.add(1, attributes)
      processing.record(duration, attributes)
      waiting.record(wait, { 'messaging.destination.name': attributes['messaging.destination.name'] })
    },
    retried: (attributes) => retries.add(1, attributes),
    buried: (attributes) => letters.add(1, attributes),
    late: (duration) => lag.record(duration),
    ended: (attributes, duration) => running.record(duration, attributes),
    appended: (duration) => appending.record(duration),
  }
}
