import { QueueError } from '../../../kernel/index.ts'
import type { SharedDecision, SharedDecisions } from '../../lib/shared-decisions.ts'
import type { SavedTrigger } from './definition.ts'
import { toSavedTrigger, type Trigger, type TriggerRegistry } from './trigger-registry.ts'

/** A trigger with the decisions of operators about it. */
export interface RunningTrigger extends Trigger {
  /** `shared` if operators have saved it for all instances, `code` if this instance declares it. */
  source: 'code' | 'shared'
  /** What operators have saved. */
  saved?: SavedTrigger
  paused: boolean
  /** True if operators have removed it in all instances although code declares it. */
  removed: boolean
}

/** Combines the triggers that code declares with the triggers that operators have saved. Code has priority over a saved trigger. */
export function createRunningTriggers(registry: TriggerRegistry, shared: SharedDecisions<SavedTrigger>) {
  /** Returns all triggers, including declared ones that operators have removed. */
  const all = async (): Promise<RunningTrigger[]> => combine(await shared.current())

  function combine(decisions: ReadonlyMap<string, SharedDecision<SavedTrigger>>): RunningTrigger[] {
    const declared = registry.all().map((trigger): RunningTrigger => {
      const { paused = false, removed = false } = decisions.get(trigger.name) ?? {}
      return { ...trigger, source: 'code', paused, removed }
    })
    const names = new Set(declared.map(({ name }) => name))
    const saved = [...decisions].flatMap(([name, { saved: definition, paused }]): RunningTrigger[] =>
      definition === undefined || names.has(name)
        ? []
        : [{ ...toSavedTrigger(name, definition), saved: definition, source: 'shared', paused, removed: false }],
    )
    return [...declared, ...saved]
  }

  async function find(name: string): Promise<RunningTrigger | undefined> {
    return (await all()).find((trigger) => trigger.name === name)
  }

  return {
    all,
    /**
     * Returns the triggers of an event. What operators decided in the last moments may be missing, except for a trigger that they
     * have saved or brought back. The job that fires a trigger looks again.
     */
    async of(event: string): Promise<RunningTrigger[]> {
      const triggers = combine(await shared.recent())
      return triggers.filter(({ options, removed }) => !removed && options.type === 'event' && options.event === event)
    },
    /** Returns the trigger with a webhook at a path. A request that is yet to be verified does not read the store each time. */
    async atPath(path: string): Promise<Trigger | undefined> {
      const isHere = ({ options }: Trigger): boolean => options.type === 'webhook' && options.path === path
      return registry.all().find(isHere) ?? combine(await shared.recent()).find(isHere)
    },
    find,
    /** @throws QueueError `TRIGGER_UNKNOWN` for a name that is unknown here, or was removed */
    async get(name: string): Promise<RunningTrigger> {
      const triggers = (await all()).filter(({ removed }) => !removed)
      const found = triggers.find((trigger) => trigger.name === name)
      if (found) return found
      const known = triggers.map((trigger) => trigger.name).join(', ') || 'none'
      throw new QueueError('TRIGGER_UNKNOWN', `There is no trigger "${name}" in this instance. Known: ${known}.`)
    },
    /** Whether operators have removed a trigger, so that no instance has it. */
    isRemoved: async (name: string): Promise<boolean> => (await shared.current()).get(name)?.removed === true,
  }
}
export type RunningTriggers = ReturnType<typeof createRunningTriggers>
