import type { AnyPlugin, Clock, JobRecord, Kernel, KernelConfig, MaybePromise } from '../../kernel/index.ts'
import type { RunInfo, RunOutcome, StoredEvent } from '../../kernel/index.ts'
import type { TestWorker } from '../test-kernel.ts'
import type { Duration } from '../virtual-clock.ts'

/** The kinds of faults. */
export type ChaosFaultKind = ChaosFault['fault']

/** Where a fault happens: at the `nth` time that any process reaches a point, such as `append step.completed order`. */
interface At {
  at: string
  nth: number
  /** Whether the fault happens before the write takes effect, or after it and before the process learns that it has. */
  when: 'before' | 'after'
}

/**
 * A fault of a schedule. Durations are in milliseconds of virtual time.
 *
 * | `fault` | meaning |
 * |---|---|
 * | `crash` | the process dies; its jobs are delivered again when their leases have expired, and another process starts in its place |
 * | `duplicate` | the process stalls for longer than a lease, so its jobs are delivered a second time while their handlers still run |
 * | `late` | a delivered job reaches its process late |
 * | `outage` | the store is unavailable; with `when: 'after'`, only the response of the write is lost first |
 * | `slow` | the store, or an effect, responds late |
 * | `skew` | the clock of a process is wrong from the start |
 */
export type ChaosFault =
  | ({ fault: 'crash' } & At)
  | ({ fault: 'duplicate' | 'outage' | 'slow'; for: number } & At)
  | ({ fault: 'late'; for: number } & Omit<At, 'when'>)
  | { fault: 'skew'; process: number; by: number }

/** Something that a handler did to the outside world. */
export interface ChaosEffect {
  name: string
  data: unknown
  /** The idempotency key that it was recorded with. */
  key?: string
  /** Milliseconds since the epoch, in virtual time. */
  at: number
}

/** The outside world of one run. It survives the crashes of processes. */
export interface ChaosWorld {
  readonly clock: Clock
  /** The effects so far, in order. */
  readonly effects: readonly ChaosEffect[]
  /**
   * Records an effect on the outside world, such as a payment. Handlers call it where they would call another system. A process that has
   * crashed or that crashes here has no effect, or never learns of it. An effect whose key was recorded before is not recorded again, as
   * in a system that accepts idempotency keys.
   *
   * @example
   * await ctx.step.run('charge', () => world.effect('charge', job.data, { key: ctx.job.id }))
   */
  effect(name: string, data?: unknown, options?: { key?: string }): Promise<ChaosEffect>
  /** Waits in virtual time. */
  sleep(duration: Duration): Promise<void>
}

/** The end of a run, after everything has happened. */
export interface ChaosEnd {
  /** A kernel that shares the store and consumes nothing, for `state`, `flow(name).status` and so on. */
  readonly kernel: Kernel
  /** All jobs, except those of internal queues. */
  readonly jobs: readonly JobRecord[]
  readonly runs: readonly RunInfo[]
  readonly effects: readonly ChaosEffect[]
  /** The warnings and errors that the processes reported. */
  readonly reports: readonly { level: 'warn' | 'error'; message: string }[]
  events(runId: string): Promise<StoredEvent[]>
}

/** What happens in each run, and what must hold at its end. */
export interface ChaosScenario {
  /** The workers by their ids. */
  workers: Readonly<Record<string, TestWorker>>
  plugins?: readonly AnyPlugin[]
  config?: KernelConfig
  /** Starts the work, as a client of the application does. It may wait, send events and start more. Faults do not affect it. */
  start(kernel: Kernel): MaybePromise<unknown>
  /** Throws if something does not hold at the end of a run. */
  check?(end: ChaosEnd): MaybePromise<void>
  /** How every run must end. Default `completed`. */
  expect?: RunOutcome | 'any'
}

/** Creates the scenario of one run. Variables of the function are outside of the processes, so they survive crashes. */
export type ChaosTest = (world: ChaosWorld) => ChaosScenario

export interface ChaosOptions {
  /** Determines the faults of all runs. Default 1. */
  seed?: number
  /** How many runs, each with other faults. Default 100. */
  runs?: number
  /** Runs this schedule once, instead of random ones. */
  schedule?: readonly ChaosFault[]
  /** The kinds of faults that random schedules contain. Default: all. */
  faults?: readonly ChaosFaultKind[]
  /** The most faults in one run. Default 5. */
  maxFaults?: number
  /** How many processes consume the queues. Default 2. */
  processes?: number
  /** How much longer than without faults a run may take, in virtual time. Default six hours. */
  limit?: Duration
}

/** What `chaos` did. */
export interface ChaosReport {
  runs: number
  /** How many faults happened. */
  faults: number
  /** The points at which faults can happen, as a schedule names them. */
  points: readonly string[]
  /** Equal for two calls in which the same happened at the same moments. */
  fingerprint: string
}

/** The error of a run that failed, with the smallest schedule that was found. */
export interface ChaosError extends Error {
  readonly schedule: readonly ChaosFault[]
  /** The seed and the number of the random run that failed. Absent if a schedule was given, or if no fault is necessary. */
  readonly seed?: number
  readonly run?: number
}
