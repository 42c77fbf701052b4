import { createKernel, definePlugin, QueueError } from '../../kernel/index.ts'
import type { Clock, Kernel, MaybePromise, Processor, Reporter, Settlement } from '../../kernel/index.ts'
import { createWorkerManager } from '../../plugins/adapters/lib/worker-manager.ts'
import { whenOf, type Faults, type PointFault } from './faults.ts'
import type { VirtualClaim, ConsumingProcess } from './consumers.ts'
import { wrapEvents, wrapLimits, wrapQueue, type PortCalls } from './ports.ts'
import { chaosPreset } from './preset.ts'
import { LEASE, type ChaosStore } from './store.ts'
import type { Timers } from './timers.ts'
import type { ChaosScenario } from './types.ts'

/** How long a stalled process does not know that it has lost its jobs, in milliseconds after it continues. */
const RENEWAL = 10_000

export interface ProcessHost {
  clock: Clock
  timers: Timers
  store: ChaosStore
  faults: Faults
  scenario: ChaosScenario
  reporter: Reporter
  generateId: () => string
  /** Called when the process has died. */
  died(process: SimulatedProcess): void
}

/** What a call is besides its point: `patient` calls wait for an unavailable store, `outside` calls do not need it. */
interface CallOptions {
  mode?: 'patient' | 'outside'
}

const never = (): Promise<never> => new Promise(() => {})

/**
 * A process that dies, stalls and restarts as the schedule says. Its kernel reaches the store through ports that inject the faults. A call
 * of a dead process never settles, so none of its code after the call runs.
 *
 *     starting ── boot ──> running ── crash ──> dead
 *                            │ ^
 *                  duplicate └─┘ stalled
 */
export class SimulatedProcess implements ConsumingProcess {
  readonly claims = new Set<VirtualClaim>()
  readonly name: string
  readonly behind: number
  kernel!: Kernel
  #state: 'starting' | 'running' | 'dead' = 'starting'
  #stalledUntil = 0
  readonly #host: ProcessHost
  readonly #isClient: boolean
  readonly #skew: number
  readonly #stops = new Set<() => void>()
  readonly #died = Promise.withResolvers<void>()

  /** @param isClient true for the process that starts the work: it consumes nothing, and faults do not affect it */
  constructor(host: ProcessHost, name: string, { skew = 0, isClient = false } = {}) {
    this.#host = host
    this.name = name
    this.#skew = skew
    this.behind = Math.max(0, -skew)
    this.#isClient = isClient
  }

  get isDead(): boolean {
    return this.#state === 'dead'
  }

  get isAvailable(): boolean {
    return this.#state === 'running' && !this.#isStalled
  }

  get #isStalled(): boolean {
    return this.#stalledUntil > this.#host.clock.now()
  }

  async boot(): Promise<void> {
    const { store, scenario, reporter, generateId } = this.#host
    const calls: PortCalls = {
      call: (point, apply) => this.call(point, apply),
      subscribed: (stop) => this.#keep(stop),
      listener:
        (callback) =>
        (...args) =>
          void (this.#state !== 'dead' && callback(...args)),
    }
    const machine = definePlugin({
      name: 'chaos-machine',
      enforce: 'pre',
      setup: (kernel) => {
        kernel.provide('clock', this.#clock())
        kernel.provide('queue', wrapQueue(store.queue, calls))
        kernel.provide('events', wrapEvents(store.events, calls))
        kernel.provide('limits', wrapLimits(store.limits, calls))
        const workers = createWorkerManager(store.consumers.open(this), { kernel, maxParked: Infinity })
        kernel.provide('workers', workers)
      },
    })
    this.kernel = await createKernel({
      preset: chaosPreset,
      plugins: [machine, ...(scenario.plugins ?? [])],
      // Only the client catches stray errors, because a dead process cannot take its listener away.
      config: { ...scenario.config, ...(!this.#isClient && { node: { strayErrors: 'crash' } }) },
      reporter,
      generateId,
    })
    try {
      for (const [id, worker] of Object.entries(scenario.workers)) {
        await this.kernel.registerWorker({ id, ...(typeof worker === 'function' ? { handler: worker } : worker) })
      }
      if (!this.#isClient) await this.kernel.start()
    } catch (error) {
      await this.close()
      throw error
    }
    this.#state = 'running'
    store.consumers.changed()
  }

  /** Makes a call to the store, or has an effect on the outside world. */
  async call<T>(point: string | undefined, apply: () => MaybePromise<T>, { mode }: CallOptions = {}): Promise<T> {
    const { store, clock, faults } = this.#host
    if (point?.startsWith('acquire ')) store.hasPermits = true
    if (this.#isClient || this.#state === 'starting') return apply()
    await this.#ready()
    const due = point === undefined ? [] : faults.reach(point, this.name)
    for (const fault of due) if (whenOf(fault) === 'before') await this.#suffer(fault)
    if (mode === 'patient') while (store.awayUntil > clock.now()) await this.#sleep(store.awayUntil - clock.now())
    if (mode === undefined && store.awayUntil > clock.now()) throw unavailable()
    let result: T | undefined
    let error: unknown
    try {
      result = await apply()
    } catch (thrown) {
      error = thrown
    }
    for (const fault of due) if (whenOf(fault) === 'after') await this.#suffer(fault)
    await this.#ready()
    const isLost = due.some((fault) => fault.fault === 'outage' && whenOf(fault) === 'after')
    if (isLost && mode === undefined) throw unavailable()
    if (error !== undefined) throw error
    return result as T
  }

  async handle(claim: VirtualClaim, processor: Processor): Promise<void> {
    const { name } = claim.record
    await this.call(`claim ${name}`, () => {}, { mode: 'patient' })
    const settlement = await processor(claim.record, claim.lease)
    const slot = settlement.slot && Promise.race([settlement.slot, this.#died.promise])
    const own: Settlement = slot ? { ...settlement, slot } : settlement
    await this.call(`settle ${own.type} ${name}`, () => claim.settle(own), { mode: 'patient' })
  }

  /** Ends the process like a power failure. */
  die(): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    const { clock, store, died } = this.#host
    for (const stop of [...this.#stops]) stop()
    store.consumers.remove(this)
    for (const claim of this.claims) {
      clock.setTimeout(() => claim.lapse({ type: 'defer', runAt: clock.now(), crashed: true }), LEASE)
    }
    this.#died.resolve()
    died(this)
  }

  /** Ends the process as an application does. */
  async close(): Promise<void> {
    await this.kernel.close({ timeout: 0 })
    for (const stop of [...this.#stops]) stop()
  }

  async #suffer(fault: PointFault): Promise<void> {
    const { store, clock } = this.#host
    if (fault.fault === 'crash') {
      this.die()
      return never()
    }
    if (fault.fault === 'outage') store.awayUntil = Math.max(store.awayUntil, clock.now() + fault.for)
    else if (fault.fault === 'duplicate') await this.#stall(fault.for)
    else await this.#sleep(fault.for)
  }

  /** Stops everything that the process does. Its leases expire meanwhile, and it learns of that only some time after it continues. */
  #stall(ms: number): Promise<void> {
    const { clock, store } = this.#host
    this.#stalledUntil = Math.max(this.#stalledUntil, clock.now() + ms)
    store.consumers.changed()
    for (const claim of this.claims) {
      clock.setTimeout(() => {
        if (claim.isOver || !this.#isStalled) return
        claim.lapse({ type: 'lost' })
        clock.setTimeout(() => this.#state !== 'dead' && claim.lost.forEach((tell) => tell()), ms - LEASE + RENEWAL)
      }, LEASE)
    }
    clock.setTimeout(() => store.consumers.changed(), ms)
    return this.#ready()
  }

  /** Resolves once the process is not stalled. Never settles in a dead process. */
  async #ready(): Promise<void> {
    while (this.#isStalled && this.#state !== 'dead') {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#host.clock.setTimeout(resolve, this.#stalledUntil - this.#host.clock.now())
      await promise
    }
    if (this.#state === 'dead') await never()
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#host.clock.setTimeout(resolve, ms)
    await promise
    await this.#ready()
  }

  /** Waits in the time of this process. */
  sleep(ms: number): Promise<void> {
    return this.#sleep(ms)
  }

  #keep(stop: () => void): () => void {
    const once = (): void => {
      this.#stops.delete(once)
      stop()
    }
    this.#stops.add(once)
    return once
  }

  /** A clock whose timers end with the process, and wait while it is stalled. */
  #clock(): Clock {
    const { clock, timers } = this.#host
    return {
      now: () => clock.now() + this.#skew,
      setTimeout: (callback, ms) => {
        let cancel = (): void => {}
        const arm = (delay: number): void => {
          cancel = timers.setTimeout(() => {
            if (this.#isStalled) return arm(this.#stalledUntil - clock.now())
            stop()
            callback()
          }, delay)
        }
        const stop = this.#keep(() => cancel())
        arm(ms)
        return stop
      },
    }
  }
}

function unavailable(): QueueError {
  return new QueueError('STORE_UNAVAILABLE', 'The store is unavailable. A fault of the chaos test says so.')
}
