import type { Kernel } from '../../../kernel/index.ts'
import { slotsByQueue } from '../lib/slots.ts'
import type { IsShown, StoreCounts } from '../lib/store-counts.ts'
import type { Observed } from './observe.ts'
import type { MetricRow, MetricRows } from './rows.ts'
import { createText } from './text.ts'

type Text = ReturnType<typeof createText>

/** Returns all metrics as text. */
export function scrape(
  kernel: Kernel,
  { rows, lag, runs, appends, isShown }: Observed & { isShown: IsShown },
  store: StoreCounts | undefined,
): string {
  const text = createText()
  const slots = slotsOf(kernel, rows, isShown)
  // Queues with a worker have counters from the start, because Prometheus sees no increase in a first value.
  const consumers = rows.all().filter((row) => row.consumed > 0 || slots.has(row))
  const senders = rows.all().filter(({ sent }) => sent > 0)
  writeOperations(text, senders, consumers)
  writeJobs(text, consumers)
  text
    .family('nuxt_queue_schedule_lag_seconds', 'histogram', 'How late the ticks of schedules were.')
    .addHistogram({}, lag)
  const ended = text.family('nuxt_queue_run_duration_seconds', 'histogram', 'How long runs took, by flow and status.')
  for (const { flow, status, durations } of runs.all()) ended.addHistogram({ flow, status }, durations)
  text
    .family('nuxt_queue_events_append_duration_seconds', 'histogram', 'How long storing events took.')
    .addHistogram({}, appends)
  writeSlots(text, slots)
  text
    .family('nuxt_queue_stream_followers', 'gauge', 'Open streams of clients of this process.')
    .add({}, kernel.http.connections)
  writeStore(text, store, kernel.clock.now())
  return text.toString()
}

/** Returns how many jobs the workers of this process may run, by row, so queues beyond the limit are added up. */
function slotsOf(kernel: Kernel, rows: MetricRows, isShown: IsShown): Map<MetricRow, number> {
  const slots = new Map<MetricRow, number>()
  for (const [queue, count] of slotsByQueue(kernel, isShown)) {
    const row = rows.of(queue)
    slots.set(row, (slots.get(row) ?? 0) + count)
  }
  return slots
}

/** Writes the metrics of the conventions for messaging. */
function writeOperations(text: Text, senders: readonly MetricRow[], consumers: readonly MetricRow[]): void {
  const on = ({ queue }: MetricRow, operation: 'send' | 'process') => ({
    messaging_system: 'nuxt_queue',
    messaging_operation_name: operation,
    messaging_destination_name: queue,
  })
  const sent = text.family('messaging_client_sent_messages_total', 'counter', 'Jobs that were enqueued.')
  for (const row of senders) sent.add(on(row, 'send'), row.sent)
  const sending = text.family('messaging_client_operation_duration_seconds', 'histogram', 'How long enqueueing took.')
  for (const row of senders) sending.addHistogram(on(row, 'send'), row.sending)
  const consumed = text.family('messaging_client_consumed_messages_total', 'counter', 'Attempts that were started.')
  for (const row of consumers) consumed.add(on(row, 'process'), row.consumed)
  const processing = text.family('messaging_process_duration_seconds', 'histogram', 'How long attempts ran.')
  for (const row of consumers)
    for (const [outcome, histogram] of Object.entries(row.processing))
      processing.addHistogram({ ...on(row, 'process'), outcome }, histogram)
}

function writeJobs(text: Text, consumers: readonly MetricRow[]): void {
  const waiting = text.family(
    'nuxt_queue_job_wait_duration_seconds',
    'histogram',
    'How long jobs waited from the moment they were due.',
  )
  for (const { queue, waiting: histogram } of consumers) waiting.addHistogram({ queue }, histogram)
  const retries = text.family(
    'nuxt_queue_job_retries_total',
    'counter',
    'Attempts that failed and are followed by another one.',
  )
  for (const row of consumers) retries.add({ queue: row.queue }, row.retries)
  const letters = text.family(
    'nuxt_queue_job_dead_letters_total',
    'counter',
    'Jobs that failed permanently and became dead letters, by the queue in which they failed.',
  )
  for (const row of consumers) letters.add({ queue: row.queue }, row.deadLetters)
}

function writeSlots(text: Text, slots: ReadonlyMap<MetricRow, number>): void {
  const family = text.family('nuxt_queue_worker_slots', 'gauge', 'How many jobs the workers of this process may run.')
  for (const [{ queue, busy }, total] of slots) {
    family.add({ queue, state: 'busy' }, busy)
    family.add({ queue, state: 'idle' }, Math.max(0, total - busy))
  }
}

/** Writes the counts of the store. Each instance reports the same. */
function writeStore(text: Text, store: StoreCounts | undefined, now: number): void {
  text.family('nuxt_queue_store_up', 'gauge', 'Whether the jobs in the store could be counted.').add({}, store ? 1 : 0)
  if (!store) return
  const jobs = text.family('nuxt_queue_queue_jobs', 'gauge', 'Jobs in the store. Each instance reports the same.')
  for (const { queue, counts } of store.queues)
    for (const [state, count] of Object.entries(counts)) jobs.add({ queue, state }, count)
  const ages = text.family(
    'nuxt_queue_queue_oldest_job_age_seconds',
    'gauge',
    'How long the oldest waiting job has been due, or 0 if no job waits. Each instance reports the same.',
  )
  for (const { queue, oldest } of store.queues)
    ages.add({ queue }, oldest === undefined ? 0 : Math.max(0, now - oldest.due) / 1000)
  text
    .family(
      'nuxt_queue_runs_active',
      'gauge',
      'Runs that have not ended, up to 10,000. Each instance reports the same.',
    )
    .add({}, store.activeRuns)
  text
    .family(
      'nuxt_queue_uncounted_queues',
      'gauge',
      'The number of queues beyond the first 200 by name, whose jobs are not counted.',
    )
    .add({}, store.uncounted)
}
