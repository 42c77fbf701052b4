import { QueueError, type EmitPayload, type Job, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import type { FindVersions } from '../lib/flow-access.ts'
import { placesOf } from '../lib/flow-places.ts'
import type { FlowEngine } from './engine.ts'
import type { StartedData } from './run.ts'

/** Milliseconds after which a job that advances a run of another version looks again for an instance with that version. */
export const LOOK_FOR_PIN = 1000
/** The first and the longest delay of a job of another version, in milliseconds. The delay grows with the age of the job. */
const MIN_DELAY = 500
const MAX_DELAY = 5000
/** Milliseconds for which the versions of the running instances are kept. */
const KEPT = 1000

/**
 * Keeps runs on the version of the flow with which they began, as long as an instance with that version runs. A job that another version
 * has claimed returns to its queue, like a job without a worker.
 */
export function createPins(kernel: PluginKernel, engine: FlowEngine) {
  let find: FindVersions | undefined
  const kept = new Map<string, { at: number; versions: Promise<readonly string[]> }>()
  /** The version to which the run of a deferred attempt is pinned. `explain` reports it. */
  const deferred = new WeakMap<RunContext, string>()

  function versionsOf(flow: string): Promise<readonly string[]> | readonly string[] {
    const now = kernel.clock.now()
    const last = kept.get(flow)
    if (last && now - last.at < KEPT) return last.versions
    if (!find) return []
    const versions = find(flow)
    kept.set(flow, { at: now, versions })
    versions.catch(() => kept.delete(flow))
    return versions
  }

  /** Whether other instances have a version of a flow, and this instance has another one. */
  const isOthers = async (flow: string, version: string): Promise<boolean> =>
    version !== engine.graphOf(flow).version && (await versionsOf(flow)).includes(version)

  /** Returns the version to which a job is pinned if only other instances have it. */
  async function otherVersion({ runId, flow }: Job): Promise<string | undefined> {
    const begun = await kernel.port('events').byKey(runId, 'flow.started')
    if (!begun) return undefined
    const { version } = begun.data as StartedData
    return (await isOthers(flow!.name, version)) ? version : undefined
  }

  kernel.hook(
    'dispatch',
    async (dispatch, next) => {
      const { ctx, job } = dispatch
      const version = await otherVersion(job)
      if (version === undefined) return next()
      deferred.set(ctx, version)
      const age = kernel.clock.now() - job.createdAt
      dispatch.result = ctx.defer({ delay: Math.round(Math.min(MAX_DELAY, Math.max(MIN_DELAY, age / 4))) })
    },
    { when: ({ job }) => job.flow?.pin === true },
  )

  kernel.onWorkerStart((worker) => {
    const pinned = placesOf(worker).find(({ pin }) => pin)
    if (!pinned || find) return
    const message = `Worker "${worker.id}" has "flow.pin", which needs the plugin "instances". Add the plugin, or remove "pin".`
    throw new QueueError('OPTION_UNSUPPORTED', message, { details: { option: 'flow' } })
  })

  return {
    onVersions: (callback: FindVersions): void => void (find = callback),
    /** Records in `step.deferred` to which version its run is pinned. */
    record({ ctx, events: [event] }: EmitPayload): void {
      const pinned = event?.type === 'step.deferred' && ctx ? deferred.get(ctx) : undefined
      if (pinned !== undefined) event!.data = { ...(event!.data as object), pinned }
    },
    /** Whether a run is open and pinned to a version that only other instances have. */
    async isElsewhere(runId: string): Promise<boolean> {
      const { flow, version, pin, outcome } = await engine.current(runId)
      return pin && flow !== undefined && outcome === undefined && (await isOthers(flow, version!))
    },
  }
}
export type Pins = ReturnType<typeof createPins>
