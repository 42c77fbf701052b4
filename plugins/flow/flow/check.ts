import type { Kernel, RunInfo } from '../../../kernel/index.ts'
import { placesOf } from '../lib/flow-places.ts'
import type { FlowEngine } from './engine.ts'
import type { Pins } from './pins.ts'

const FLOW_QUEUE = '_flow'
const CHECK = '_flow/check'

/** How many runs one check reads. The next check continues after them. */
const PAGE = 500
/** How many jobs of one run a check looks up in their queues. */
const JOBS = 100

interface CheckOptions {
  /** Milliseconds between two checks; 0 disables them. */
  interval: number
  /** Milliseconds without activity after which a run is checked. */
  quiet: number
}

interface CheckData {
  /** The moment of this check, in milliseconds since the epoch. */
  at: number
  /** The last run that the previous check read. */
  after?: Pick<RunInfo, 'runId' | 'startedAt'>
}

/**
 * Repairs runs that have stalled because a job was lost: a user removed it manually, or restored an old backup of the store. A check is a
 * delayed job whose id is the same in all instances. Each check schedules the next one as long as a run is open.
 */
export async function createCheck(kernel: Kernel, engine: FlowEngine, pins: Pins, options: CheckOptions) {
  const { interval, quiet } = options
  if (interval === 0) return async () => {}
  const reported = new Set<string>()
  let scheduledFor = 0

  async function scheduleCheck(after?: CheckData['after']): Promise<void> {
    const at = (Math.floor(kernel.clock.now() / interval) + 1) * interval
    scheduledFor = at
    const data: CheckData = { at, ...(after && { after }) }
    await kernel.enqueue(CHECK, data, { id: `check.${at}`, delay: new Date(at), attempts: 5, backoff: 1000 })
  }

  await kernel.registerWorker({
    id: CHECK,
    config: { queue: FLOW_QUEUE },
    async handler({ data }) {
      const { after } = data as CheckData
      const runs = await kernel.port('events').runs.list({ status: 'running', hideInternal: true, limit: PAGE, after })
      const last = runs.length === PAGE ? runs.at(-1) : undefined
      const open = runs.some(({ flow }) => flow !== undefined)
      if (open || last || after) await scheduleCheck(last && { runId: last.runId, startedAt: last.startedAt })
      const before = kernel.clock.now() - quiet
      for (const { runId, flow, updatedAt } of runs) {
        if (flow !== undefined && updatedAt < before)
          await repair(runId).catch((error: unknown) => reportOnce(flow, error))
      }
    },
  })
  kernel.onWorkerStart((worker) => (placesOf(worker).length > 0 ? watch() : undefined))

  /** Schedules a check, unless a check is already scheduled. */
  async function watch(): Promise<void> {
    if (scheduledFor <= kernel.clock.now()) await scheduleCheck()
  }

  /** Warns once for each flow. A typical cause is a flow that a deploy has removed. */
  function reportOnce(flow: string, error: unknown): void {
    if (reported.has(flow)) return
    reported.add(flow)
    kernel.reporter.warn(`This instance cannot continue runs of flow "${flow}".`, error)
  }

  async function repair(runId: string): Promise<void> {
    if (await pins.isElsewhere(runId)) return
    await engine.advance(runId, { repair: true })
    const { flow, outcome, open, pin } = await engine.current(runId)
    if (flow === undefined || outcome) return
    const graph = engine.graphOf(flow)
    for (const instance of [...open].slice(0, JOBS)) {
      const worker = graph.steps.get(instance.step)?.worker
      if (!worker || instance.status !== 'open') continue
      if (await kernel.port('queue').getJob(worker.queue.name, instance.id)) continue
      kernel.reporter.warn(
        `Job "${instance.id}" of run ${runId} disappeared from its queue before it ended. It is queued again.`,
      )
      await engine.start(runId, graph, [{ ...instance, pin }])
    }
    engine.forget(runId)
  }
  return watch
}
