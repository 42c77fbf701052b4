import {
  systemClock,
  type JobRecord,
  type JobState,
  type MaybePromise,
  type QueueProvider,
} from '../../kernel/index.ts'
import { settled } from '../virtual-clock.ts'
import type { Harness } from './harness.ts'

/** How long `until` waits for a condition, in milliseconds of the clock in use. */
const TIMEOUT = { virtual: 5000, real: 60_000 }
const STEP = 10

/** The time of the tests, virtual or real. */
export interface Time {
  now(): number
  /** Lets `ms` milliseconds pass. */
  elapse(ms: number): Promise<void>
  /** Waits until `check` returns a value other than `undefined` and false, and returns it. Checks after each `notify()`. */
  until<T>(what: string, check: () => MaybePromise<T | undefined | false>): Promise<T>
  notify(): void
}

export function createTime({ clock = systemClock, advance }: Pick<Harness, 'clock' | 'advance'>): Time {
  let wake: () => void = () => {}

  function elapse(ms: number): Promise<void> {
    return advance ? advance(ms) : new Promise((resolve) => setTimeout(resolve, ms))
  }

  /** Advances virtual time by a step. In real time, waits for a step or until `notify()` is called. */
  async function step(): Promise<void> {
    if (advance) {
      await settled()
      await advance(STEP)
      return
    }
    const woken = Promise.withResolvers<void>()
    wake = woken.resolve
    const timer = setTimeout(woken.resolve, STEP)
    await woken.promise
    clearTimeout(timer)
  }

  const until: Time['until'] = async (what, check) => {
    await settled()
    const patience = advance ? TIMEOUT.virtual : TIMEOUT.real
    const deadline = clock.now() + patience
    for (;;) {
      const found = await check()
      if (found !== undefined && found !== false) return found
      if (clock.now() > deadline) throw new Error(`Timed out after ${patience} ms waiting until ${what}.`)
      await step()
    }
  }

  return {
    now: () => clock.now(),
    elapse,
    until,
    notify: () => wake(),
  }
}

/** Waits until a job is in a state, and returns the job. The error of a timeout shows the job. */
export async function reachState(
  { until }: Pick<Time, 'until'>,
  queue: Pick<QueueProvider, 'getJob'>,
  { queue: name, id }: Pick<JobRecord, 'queue' | 'id'>,
  state: JobState,
): Promise<JobRecord> {
  let job: JobRecord | undefined
  try {
    return await until(`job "${id}" on "${name}" is ${state}`, async () => {
      job = await queue.getJob(name, id)
      return job?.state === state && job
    })
  } catch (error) {
    throw new Error(`${(error as Error).message} The job is: ${JSON.stringify(job)}`, { cause: error })
  }
}
