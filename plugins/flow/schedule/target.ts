import { fitText, type EnqueuedJob, type PluginKernel, type StoredEvent } from '../../../kernel/index.ts'
import { openChannel } from '../../lib/channel.ts'
import { createBoundedStream } from '../../lib/bounded-stream.ts'
import type { Schedule } from './schedule.ts'

/** The job or run that a moment has started. Before the start, only the moment is known. */
interface Started extends Partial<Pick<EnqueuedJob, 'queue' | 'id' | 'runId'>> {
  at: number
}

const channel = openChannel('schedule')
/** Milliseconds that a start may take. A tick whose process has died runs again within this time. */
const STARTING = 60_000
/** How many starts of each schedule are kept. */
const KEEP = 10
const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled'])

/**
 * Starts the targets of schedules. Ids derive from the moment, so that a repeated start has no effect.
 *
 * @param names returns the names of all schedules
 */
export function createStarter(kernel: PluginKernel, names: () => Promise<string[]>) {
  const history = createBoundedStream(kernel, KEEP)
  kernel.declareStreams?.({ names: async () => (await names()).map(streamOf), keep: KEEP })

  function begin(schedule: Schedule, id: string, at: number): Promise<EnqueuedJob> {
    const start = (): Promise<EnqueuedJob> => enqueue(schedule, id, at)
    return channel.isHeard ? channel.trace({ schedule, at }, start) : start()
  }

  function enqueue({ worker, flow, entry, data, headers }: Schedule, id: string, at: number): Promise<EnqueuedJob> {
    const input: unknown = typeof data === 'function' ? data(new Date(at)) : data
    return flow === undefined
      ? kernel.enqueue(worker!, input, { once: id, headers })
      : kernel.flow(flow).start(input, { id, entry, headers })
  }

  /** Starts a target unless an earlier start is open. First records the moment, so that concurrent moments see each other. */
  async function beginAlone(name: string, schedule: Schedule, id: string, at: number): Promise<void> {
    const stream = streamOf(name)
    for (;;) {
      const [newest] = await history.newest(stream, 1)
      const previous = newest?.data as Started | undefined
      if (previous && (previous.at > at || (previous.at === at && newest!.type === 'schedule.started'))) return
      let head = newest?.seq ?? 0
      if (previous?.at !== at) {
        if (previous && (await isOpen(previous, newest!, schedule))) {
          if (schedule.overlap === 'skip') return
          await cancel(previous, schedule)
        }
        const claim = { type: 'schedule.starting', data: { at } }
        const claimed = await history.append(stream, claim, { expectedSeq: head })
        if (!claimed.ok) continue
        head = claimed.head
      }
      const job = await begin(schedule, id, at)
      const started: Started = { at, queue: job.queue, id: job.id, runId: job.runId }
      const recorded = await history.append(stream, { type: 'schedule.started', data: started }, { expectedSeq: head })
      if (!recorded.ok && schedule.overlap === 'replace') await cancelIfReplaced(stream, started, schedule)
      return
    }
  }

  /** Cancels a started job if a later moment, which could not know about the job, has been recorded in the meantime. */
  async function cancelIfReplaced(stream: string, started: Started, schedule: Schedule): Promise<void> {
    const [newest] = await history.newest(stream, 1)
    const latest = newest?.data as Started | undefined
    if (latest && latest.at > started.at) await cancel(started, schedule)
  }

  async function isOpen({ queue, id, runId }: Started, { ts }: StoredEvent, { flow }: Schedule): Promise<boolean> {
    if (queue === undefined) return kernel.clock.now() - ts < STARTING
    const run = flow === undefined ? undefined : await kernel.port('events').runs.get(runId!)
    if (run) return run.status === 'running'
    const job = await kernel.port('queue').getJob(queue, id!)
    return job !== undefined && !ENDED.has(job.state)
  }

  async function cancel({ queue, id, runId }: Started, { flow }: Schedule): Promise<void> {
    if (queue === undefined) return
    const reason = 'its schedule has started the next one'
    if (flow !== undefined && (await kernel.flow(flow).cancel(runId!, { reason }))) return
    const job = await kernel.port('queue').getJob(queue, id!)
    if (job && !ENDED.has(job.state)) await kernel.cancel(job, { reason })
  }

  return {
    /** Starts a target manually under an id, even while an earlier start is open. */
    begin,
    /** Starts a target for a moment, as `overlap` says. */
    async start(name: string, schedule: Schedule, at: number): Promise<void> {
      const id = fitText(`${name}.${at}`)
      if ((schedule.overlap ?? 'queue') === 'queue') await begin(schedule, id, at)
      else await beginAlone(name, schedule, id, at)
    },
  }
}

function streamOf(name: string): string {
  return `schedule:${name}`
}
