import type { EventStore, Limits, QueueProvider, Reporter, ResolvedConfig } from '../../kernel/index.ts'
import { createLocalEvents } from '../../plugins/adapters/lib/local-events/store.ts'
import { createLocalLimits } from '../../plugins/adapters/lib/local-queue/limits.ts'
import { createLocalQueues } from '../../plugins/adapters/lib/local-queue/provider.ts'
import type { VirtualClock } from '../virtual-clock.ts'
import { createConsumers, type Consumers } from './consumers.ts'

/** How long a job stays with a process that has stopped to renew its lease, in milliseconds. */
export const LEASE = 30_000

/** The store that all processes of a run share. It survives them. */
export interface ChaosStore {
  queue: QueueProvider
  events: EventStore
  limits: Limits
  consumers: Consumers
  /** Until when the store is unavailable, in milliseconds since the epoch. */
  awayUntil: number
  /** Whether a process has asked for a permit. The processes then have to look after permits. */
  hasPermits: boolean
}

export function createStore(clock: VirtualClock, config: ResolvedConfig, reporter: Reporter): ChaosStore {
  const host = { clock, config, reporter }
  const { provider, open } = createLocalQueues(host, { durable: true, maxQueueSize: Infinity, configKey: 'memory' })
  return {
    queue: { ...provider, capabilities: { ...provider.capabilities, shared: true }, lease: LEASE },
    // Declared as not shared: a shared store may answer with what it knew within the last 200 ms of real time.
    events: createLocalEvents(host, { durable: true }).store,
    limits: createLocalLimits(host).limits,
    consumers: createConsumers(clock, open),
    awayUntil: 0,
    hasPermits: false,
  }
}
