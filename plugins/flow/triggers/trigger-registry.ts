import { QueueError, type Kernel, type WorkerDefinition } from '../../../kernel/index.ts'
import { startOf } from '../lib/flow-places.ts'
import { checkDefinition, checkSubscription } from './definition.ts'
import type { SavedTrigger, TriggerDefinition, TriggerOptions, TriggerSubscription } from './definition.ts'
import { createSavedVerifier, withoutSecret } from './saved-webhook.ts'
import { createVerifier, type Verifier } from './verify.ts'

export type NamedSubscription = TriggerSubscription & { id: string }

/** A valid trigger. */
export interface Trigger {
  name: string
  options: TriggerOptions
  verify?: Verifier
  /** The first subscription, if the trigger was declared with a target. */
  own?: NamedSubscription
}

export interface TriggerInfo {
  name: string
  type: TriggerOptions['type']
  event?: string
  path?: string
  /** The URL of its webhook. Absent unless `webhooks.baseUrl` is set. */
  url?: string
  subscriptions: Pick<NamedSubscription, 'id' | 'flow' | 'entry' | 'worker'>[]
}

/** Holds the triggers and subscriptions of this instance. */
export function createTriggerRegistry(kernel: Kernel) {
  const declared = new Map<string, Trigger>()
  const subscriptions = new Map<string, Map<string, NamedSubscription>>()
  const perWorker = new WeakMap<WorkerDefinition, Trigger[]>()

  /** Returns the triggers in a worker's config. The worker does not have to be started, and may be replaced. */
  function ofWorker(worker: WorkerDefinition): Trigger[] {
    const known = perWorker.get(worker)
    if (known) return known
    const { trigger = [] } = worker.worker
    const target = startOf(worker)
    const triggers = [trigger].flat().map((options, index) => {
      const name = options.name ?? (index === 0 ? worker.id : `${worker.id}.${index}`)
      return createTrigger({ ...options, ...target, name })
    })
    perWorker.set(worker, triggers)
    return triggers
  }

  const all = (): Trigger[] => [...declared.values(), ...kernel.registry.workers.flatMap(ofWorker)]

  function get(name: string): Trigger {
    const found = declared.get(name) ?? all().find((trigger) => trigger.name === name)
    if (found) return found
    const known = all()
      .map((trigger) => trigger.name)
      .join(', ')
    throw new QueueError(
      'TRIGGER_UNKNOWN',
      `There is no trigger "${name}" in this instance. Known: ${known || 'none'}.`,
    )
  }

  function subscriptionsOf({ name, own }: Trigger): NamedSubscription[] {
    return [...(own ? [own] : []), ...(subscriptions.get(name)?.values() ?? [])]
  }

  /** @throws QueueError `TRIGGER_INVALID` when two triggers share a name, or two webhooks a path */
  function assertUnique(more: readonly Trigger[] = []): void {
    const names = new Set<string>()
    for (const { name, options } of [...all(), ...more]) {
      const taken = [name, ...(options.type === 'webhook' ? [`@${options.path}`] : [])].find((one) => names.has(one))
      if (taken !== undefined) {
        const what = taken.startsWith('@')
          ? `Two webhooks have the path "${taken.slice(1)}"`
          : `Two triggers are called "${name}"`
        throw new QueueError('TRIGGER_INVALID', `${what}. Rename one of them.`)
      }
      names.add(name)
      if (options.type === 'webhook') names.add(`@${options.path}`)
    }
  }

  return {
    all,
    get,
    ofWorker,
    subscriptionsOf,
    assertUnique,
    add(definition: TriggerDefinition): Trigger {
      const trigger = createTrigger(definition)
      assertUnique([trigger])
      declared.set(trigger.name, trigger)
      return trigger
    },
    remove(name: string): Trigger | undefined {
      const trigger = declared.get(name)
      declared.delete(name)
      if (trigger) subscriptions.delete(name)
      return trigger
    },
    subscribe(name: string, subscription: TriggerSubscription): void {
      const trigger = get(name)
      checkSubscription(name, subscription)
      const one = named(subscription)
      if (subscriptionsOf(trigger).some(({ id }) => id === one.id)) {
        const message = `Trigger "${name}" already has a subscription "${one.id}". Give the new subscription another "id".`
        throw new QueueError('TRIGGER_INVALID', message)
      }
      const others = subscriptions.get(name) ?? new Map<string, NamedSubscription>()
      subscriptions.set(name, others.set(one.id, one))
    },
  }
}
export type TriggerRegistry = ReturnType<typeof createTriggerRegistry>

function createTrigger(definition: TriggerDefinition): Trigger {
  checkDefinition(definition)
  return toTrigger(definition)
}

/** Returns the trigger of a definition that was checked before. */
export function toTrigger(definition: TriggerDefinition): Trigger {
  const { name, flow, entry, worker, ...options } = definition
  const own = flow === undefined && worker === undefined ? undefined : named({ flow, entry, worker })
  return { name, options, own, verify: options.type === 'webhook' ? createVerifier(options.verify) : undefined }
}

/** Returns a trigger that operators have saved. */
export function toSavedTrigger(name: string, saved: SavedTrigger): Trigger {
  if (saved.type !== 'webhook') return toTrigger({ ...saved, name })
  const { verify, ...rest } = saved
  return { ...toTrigger({ ...rest, name, verify: withoutSecret(verify) }), verify: createSavedVerifier(verify) }
}

function named(subscription: TriggerSubscription): NamedSubscription {
  const { id, flow, worker } = subscription
  return { ...subscription, id: id ?? (flow === undefined ? `worker:${worker}` : `flow:${flow}`) }
}
