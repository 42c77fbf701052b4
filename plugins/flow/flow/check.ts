import type { Kernel, RunInfo } from '../../../kernel/index.ts'
import { placesOf } from '../lib/flow-places.ts'
import type { FlowEngine } from './engine.ts'

const FLOW_QUEUE = '_flow'
const CHECK = '_flow/check'

/** How many runs one check looks at; the next one goes on behind them. */
const PAGE = 500
/** How many jobs of one run it looks for in their queues. */
const JOBS = 100

interface CheckOptions {
  /** Milliseconds between two checks; 0 for none. */
  interval: number
  /** Milliseconds in which nothing has happened in a run before it is looked at. */
  quiet: number
}

interface CheckData {
  /** The moment it stands for, in milliseconds since the epoch. */
  at: number
  /** The last run that the check before looked at. */
  after?: Pick<RunInfo, 'runId' | 'startedAt'>
}

/**
 * Looks after runs in which nothing happens, in case what should carry them on has got lost: a job
 * that was removed by hand, a store that was put back. A check is a delayed job under an id that all
 * instances agree on; the next one follows as long as runs are open.
 */
export async function createCheck(kernel: Kernel, engine: FlowEngine, options: CheckOptions) {
  const { interval, quiet } = options
  if (interval === 0) return async () => {}
  const told = new Set<string>()
  let sown = 0

  async function sow(after?: CheckData['after']): Promise<void> {
    const at = (Math.floor(kernel.clock.now() / interval) + 1) * interval
    sown = at
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
      if (open || last || after) await sow(last && { runId: last.runId, startedAt: last.startedAt })
      const before = kernel.clock.now() - quiet
      for (const { runId, flow, updatedAt } of runs) {
        if (flow !== undefined && updatedAt < before)
          await lookAfter(runId).catch((error: unknown) => tell(flow, error))
      }
    },
  })
  kernel.onWorkerStart((worker) => (placesOf(worker).length > 0 ? watch() : undefined))

  /** Sees to it that there is a check to come. */
  async function watch(): Promise<void> {
    if (sown <= kernel.clock.now()) await sow()
  }

  /** Once a flow, such as one that a deploy has taken away. */
  function tell(flow: string, error: unknown): void {
    if (told.has(flow)) return
    told.add(flow)
    kernel.reporter.warn(`Runs of flow "${flow}" cannot be carried on here.`, error)
  }

  async function lookAfter(runId: string): Promise<void> {
    await engine.carryOn(runId, { repair: true })
    const { flow, outcome, open } = await engine.current(runId)
    if (flow === undefined || outcome) return
    const graph = engine.graphOf(flow)
    for (const instance of [...open].slice(0, JOBS)) {
      const worker = graph.steps.get(instance.step)?.worker
      if (!worker || instance.status !== 'open') continue
      if (await kernel.port('queue').getJob(worker.queue.name, instance.id)) continue
      kernel.reporter.warn(
        `Job "${instance.id}" of run ${runId} had left its queue without an end. It is queued again.`,
      )
      await engine.start(runId, graph, [instance])
    }
    engine.forget(runId)
  }
  return watch
}
