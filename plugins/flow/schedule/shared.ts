import type { PluginKernel } from '../../../kernel/index.ts'
import { createProjection } from '../../lib/projection.ts'
import type { Schedule } from './schedule.ts'

/** What operators have decided about a schedule, for all instances. */
export interface SharedSchedule {
  /** Replaces what code declares under this name. Absent if nobody has saved one. */
  schedule?: Schedule
  /** No instance runs it, even if code declares it. */
  removed: boolean
  paused: boolean
}

type Decisions = Record<string, SharedSchedule>
export type Decision =
  | { type: '_schedule.saved'; data: { name: string; schedule: Schedule } }
  | { type: '_schedule.removed' | '_schedule.paused' | '_schedule.resumed'; data: { name: string } }

const STREAM = '_schedules'

/**
 * Keeps the decisions about schedules in a stream of the event store. Instances read what is new when they run a tick and when they
 * list schedules, so that a decision counts everywhere from the next moment on, and nobody has to poll.
 */
export function createSharedSchedules(kernel: PluginKernel) {
  const decisions = createProjection<{ byName: Decisions }>(() => kernel.port('events'), {
    reducer: 'schedules@1',
    initial: () => ({ byName: Object.create(null) as Decisions }),
    apply(state, events) {
      // A snapshot has an ordinary object.
      const byName = Object.assign(Object.create(null) as Decisions, state.byName)
      for (const event of events) apply(byName, event as unknown as Decision)
      state.byName = byName
    },
    snapshotEvery: 100,
  })

  return {
    /** Returns the decisions by the names of their schedules. */
    async current(): Promise<Readonly<Decisions>> {
      return (await decisions.current(STREAM)).state.byName
    },
    async decide(decision: Decision): Promise<void> {
      await kernel.emit(STREAM, [decision])
    },
  }
}
export type SharedSchedules = ReturnType<typeof createSharedSchedules>

function apply(byName: Decisions, { type, data }: Decision): void {
  const { name } = data
  const before = byName[name] ?? { removed: false, paused: false }
  if (type === '_schedule.saved') byName[name] = { ...before, schedule: data.schedule, removed: false }
  else if (type === '_schedule.removed') byName[name] = { paused: false, removed: true }
  else if (type === '_schedule.paused') byName[name] = { ...before, paused: true }
  else byName[name] = { ...before, removed: false, paused: false }
}
