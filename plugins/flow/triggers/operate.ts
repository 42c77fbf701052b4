import { assertFree, checkText, QueueError } from '../../../kernel/index.ts'
import type { SharedDecisions } from '../../lib/shared-decisions.ts'
import { checkSaved, type SavedTrigger } from './definition.ts'
import type { History, TriggerRecord } from './history.ts'
import type { SavedVerify } from './saved-webhook.ts'
import type { RunningTrigger, RunningTriggers } from './running.ts'
import type { Trigger, TriggerInfo, TriggerRegistry } from './trigger-registry.ts'

/** A trigger, as it applies to all instances. */
export interface TriggerDetails extends TriggerInfo, Pick<RunningTrigger, 'source' | 'paused' | 'removed'> {
  /** How many events may pass in a period of milliseconds. */
  rateLimit?: SavedTrigger['rateLimit']
  /** How requests to a saved webhook are verified. It names the environment variable of the secret. */
  verify?: SavedVerify
  /** The outcomes of the newest five events, newest first. */
  recent: Pick<TriggerRecord, 'type' | 'at' | 'reason'>[]
}

const PREVIEW_COUNT = 5

/** Creates the operations of operators on triggers, for all instances. */
export function createTriggerOperations(
  registry: TriggerRegistry,
  running: RunningTriggers,
  shared: SharedDecisions<SavedTrigger>,
  history: History,
  infoOf: (trigger: Trigger) => TriggerInfo,
) {
  async function detailsOf(trigger: RunningTrigger): Promise<TriggerDetails> {
    const { name, source, saved, paused, removed, options } = trigger
    const records = await history.read(name, PREVIEW_COUNT)
    return {
      ...{ ...infoOf(trigger), source, paused, removed },
      ...(options.rateLimit && { rateLimit: options.rateLimit }),
      ...(saved?.type === 'webhook' && { verify: saved.verify }),
      recent: records.map(({ type, at, reason }) => ({ type, at, ...(reason !== undefined && { reason }) })),
    }
  }

  async function assertFreePath(name: string, path: string): Promise<void> {
    const other = (await running.all()).find(
      (one) => one.name !== name && one.options.type === 'webhook' && one.options.path === path,
    )
    if (!other) return
    const message = `Trigger "${other.name}" has a webhook at "${path}". Choose another path.`
    throw new QueueError('TRIGGER_INVALID', message)
  }

  return {
    triggerDetails: async (): Promise<TriggerDetails[]> => Promise.all((await running.all()).map(detailsOf)),
    async saveTrigger(name: string, trigger: SavedTrigger): Promise<void> {
      checkText('The name of a trigger', name)
      checkSaved(name, trigger)
      if (trigger.worker !== undefined) assertFree('queue', trigger.worker)
      if (registry.all().some((declared) => declared.name === name)) {
        const hint = 'Pause or remove it, and save a trigger with another name.'
        throw new QueueError('TRIGGER_INVALID', `Code declares trigger "${name}". ${hint}`)
      }
      if (trigger.type === 'webhook') await assertFreePath(name, trigger.path)
      await shared.decide(name, { verb: 'saved', saved: trigger }, true)
    },
    async removeTrigger(name: string): Promise<void> {
      await running.get(name)
      await shared.decide(name, { verb: 'removed' })
    },
    async pauseTrigger(name: string): Promise<void> {
      await running.get(name)
      await shared.decide(name, { verb: 'paused' })
    },
    async resumeTrigger(name: string): Promise<void> {
      const isBack = await running.isRemoved(name)
      if (!isBack) await running.get(name)
      await shared.decide(name, { verb: 'resumed' }, isBack)
    },
  }
}
