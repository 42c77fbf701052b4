import { createHash } from 'node:crypto'
import { tryUseRunContext, type Kernel, type ResolvedConfig, type RunOutcome } from '../../kernel/index.ts'
import { seeded } from '../conformance/random.ts'
import { createVirtualClock, settled, toMilliseconds } from '../virtual-clock.ts'
import { createFaults, type TraceEntry } from './faults.ts'
import { SimulatedProcess, type ProcessHost } from './process.ts'
import { createStore, LEASE } from './store.ts'
import { createTimers } from './timers.ts'
import type { ChaosEffect, ChaosEnd, ChaosFault, ChaosTest, ChaosWorld } from './types.ts'

/** How long it takes to start a process in the place of one that has died, in milliseconds. */
const RESTART = 1000
/** How long to wait after the end for what stalled handlers still do, in milliseconds, besides the durations of faults. */
const QUIET = 2 * LEASE
/** How long the timers of kernels may go on without a write, in milliseconds of virtual time. */
const PATIENCE = 6 * 3_600_000
/** More passages than this in one run mean that something goes round in circles. */
const MAX_PASSAGES = 20_000
const PAYLOAD_LIMIT = 1024 * 1024

export interface RunOptions {
  schedule: readonly ChaosFault[]
  processes: number
  /** How long the run may take, in milliseconds of virtual time. */
  limit: number
}

/** Why a run failed. `error`: the start threw. `stuck`: it did not end. `outcome`: a job ended otherwise than expected. */
interface RunFailure {
  kind: 'error' | 'stuck' | 'outcome' | 'check'
  error: Error
}

export interface ScenarioResult {
  failure: RunFailure | undefined
  trace: readonly TraceEntry[]
  passages: ReadonlyMap<string, number>
  fired: ReadonlySet<ChaosFault>
  /** Milliseconds of virtual time from the start to the end of the last job. */
  duration: number
  fingerprint: string
}

/** Runs a scenario once with the faults of a schedule. The same schedule leads to the same result. */
export async function runOnce(test: ChaosTest, options: RunOptions): Promise<ScenarioResult> {
  const { random } = Math
  // Everything in this package that is random, such as jitter, repeats in each run.
  Math.random = seeded(1)
  try {
    return await run(test, options)
  } finally {
    Math.random = random
  }
}

async function run(test: ChaosTest, { schedule, processes: count, limit }: RunOptions): Promise<ScenarioResult> {
  const clock = createVirtualClock()
  const began = clock.now()
  const faults = createFaults(schedule, clock.now)
  const reports: ChaosEnd['reports'][number][] = []
  const report = (level: 'warn' | 'error') => (message: string) => void reports.push({ level, message })
  const reporter = { warn: report('warn'), error: report('error') }
  const effects: ChaosEffect[] = []
  const timers = createTimers(clock)
  const processes = new Map<Kernel, SimulatedProcess>()
  const boots = new Set<Promise<unknown>>()
  let ids = 0

  const world: ChaosWorld = {
    clock,
    effects,
    async effect(name, data, { key } = {}) {
      const effect = { name, data, at: clock.now(), ...(key !== undefined && { key }) }
      const apply = (): ChaosEffect => {
        const known = key === undefined ? undefined : effects.find((one) => one.name === name && one.key === key)
        if (!known) effects.push(effect)
        return known ?? effect
      }
      return currentProcess()?.call(`effect ${name}`, apply, { mode: 'outside' }) ?? apply()
    },
    sleep: async (duration) => currentProcess()?.sleep(toMilliseconds(duration)) ?? sleep(toMilliseconds(duration)),
  }
  const scenario = test(world)
  const config = { payloadLimit: PAYLOAD_LIMIT, ...scenario.config } as ResolvedConfig
  const store = createStore(clock, config, reporter)
  const host: ProcessHost = {
    ...{ clock, timers, store, faults, scenario, reporter, generateId: () => `id-${++ids}` },
    died: ({ name }) => void clock.setTimeout(() => boot(name), RESTART),
  }

  function currentProcess(): SimulatedProcess | undefined {
    const ctx = tryUseRunContext()
    return ctx && processes.get(ctx.kernel)
  }

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void clock.setTimeout(resolve, ms))
  }

  function boot(name: string, isClient = false): SimulatedProcess {
    const skew = schedule.find((fault) => fault.fault === 'skew' && `${fault.process}` === name) as
      | { by?: number }
      | undefined
    const process = new SimulatedProcess(host, name, { skew: skew?.by, isClient })
    const booting = process.boot().then(() => {
      processes.set(process.kernel, process)
      boots.delete(booting)
    })
    boots.add(booting)
    return process
  }

  async function isDone(): Promise<boolean> {
    for (const queue of await store.queue.getQueues()) {
      if (queue.startsWith('_')) continue
      const { waiting, delayed, active } = await store.queue.getJobCounts(queue)
      if (waiting + delayed + active > 0) return false
    }
    return (await store.events.runs.list({ status: 'running', hideInternal: true, limit: 1 })).length === 0
  }

  /** Whether no process runs a job. Timers of kernels then only keep house. */
  function isIdle(): boolean {
    return !store.hasPermits && [...processes.values()].every(({ isDead, claims }) => isDead || claims.size === 0)
  }

  /** Moves time to the next timer, and waits for everything that follows. */
  async function step(next: number): Promise<void> {
    await clock.advance(next - clock.now())
    timers.fireDue()
    await settled()
    await Promise.all(boots)
  }

  function nextTimer(): number | undefined {
    if (clock.next !== undefined && isIdle()) return clock.next
    const moments = [clock.next, timers.next].filter((moment) => moment !== undefined)
    return moments.length === 0 ? undefined : Math.min(...moments)
  }

  /** Moves time from timer to timer until everything has ended. Returns why it does not end. */
  async function drive(hasStarted: () => boolean): Promise<string | undefined> {
    let progressAt = clock.now()
    let written = -1
    await settled()
    for (;;) {
      if (faults.trace.length > written || clock.next !== undefined) progressAt = clock.now()
      if (hasStarted() && (await isDone())) return undefined
      written = faults.trace.length
      const next = nextTimer()
      if (next === undefined) return hasStarted() ? 'nothing is left that could continue it' : '"start" does not settle'
      if (next - began > limit) return `it runs for more than ${limit} ms`
      // A timer of the store, such as that of a delayed job, may be days away.
      if (clock.next === undefined && next - progressAt > PATIENCE) return `nothing has happened for ${PATIENCE} ms`
      if (faults.trace.length > MAX_PASSAGES) return `it has made more than ${MAX_PASSAGES} writes`
      await step(next)
    }
  }

  async function play(client: SimulatedProcess): Promise<RunFailure | undefined> {
    let settledStart: { error?: unknown } | undefined
    void (async () => scenario.start(client.kernel))().then(
      () => (settledStart = {}),
      (error: unknown) => (settledStart = { error }),
    )
    const stuck = await drive(() => settledStart !== undefined)
    if (settledStart?.error !== undefined) return failure('error', settledStart.error)
    if (stuck !== undefined) return failure('stuck', new Error(`The run does not end: ${stuck}. ${await openJobs()}`))
    duration = clock.now() - began
    // What stalled handlers do after the end must not matter either.
    const quiet = clock.now() + QUIET + Math.max(0, ...schedule.map((fault) => ('for' in fault ? fault.for : 0)))
    for (
      let at = nextTimer();
      at !== undefined && at < quiet && !(isIdle() && clock.next === undefined);
      at = nextTimer()
    ) {
      await step(at)
    }
    const again = await drive(() => true)
    if (again !== undefined) return failure('stuck', new Error(`The run does not end: ${again}. ${await openJobs()}`))
    return (await checkOutcomes(scenario.expect ?? 'completed')) ?? (await check(client.kernel))
  }

  async function openJobs(): Promise<string> {
    const jobs = (await allJobs()).filter(
      ({ state }) => state === 'waiting' || state === 'delayed' || state === 'active',
    )
    const list = jobs.map(({ name, id, state }) => `"${name}" (${id}) is ${state}`)
    return list.length > 0 ? `Job ${list.join(', ')}.` : 'No job is open.'
  }

  async function allJobs() {
    const jobs = await store.queue.getJobs({ limit: 10_000 })
    return jobs.filter(({ queue }) => !queue.startsWith('_'))
  }

  const allRuns = () => store.events.runs.list({ hideInternal: true, limit: 10_000 })

  async function checkOutcomes(expected: RunOutcome | 'any'): Promise<RunFailure | undefined> {
    if (expected === 'any') return undefined
    const other = (await allRuns()).find(({ status }) => status !== expected)
    if (!other) return undefined
    const events = await store.events.read(other.runId)
    const data = events.findLast(({ type }) => type.endsWith('.failed'))?.data as
      | { error?: { message?: string } }
      | undefined
    const why = data?.error?.message === undefined ? '' : ` Its error is: ${data.error.message}`
    return failure(
      'outcome',
      new Error(`Run ${other.runId} of "${other.name}" ${other.status}; expected ${expected}.${why}`),
    )
  }

  async function check(kernel: Kernel): Promise<RunFailure | undefined> {
    try {
      const [jobs, runs] = [await allJobs(), await allRuns()]
      const events = async (runId: string) => store.events.read(runId)
      await scenario.check?.({ kernel, jobs, runs, effects, reports, events })
      return undefined
    } catch (error) {
      return failure('check', error)
    }
  }

  let duration = 0
  const client = boot('client', true)
  for (let index = 1; index <= count; index++) boot(String(index))
  let failed: RunFailure | undefined
  let isOver = false
  try {
    await Promise.all(boots)
    failed = await play(client)
    isOver = failed === undefined
  } finally {
    await finish(isOver ? [...processes.values()] : [client])
  }
  return { failure: failed, ...faults, duration, fingerprint: hashOf(faults.trace) }

  /** Closes what can be closed: a process whose handlers will never settle is left to the garbage collector. */
  async function finish(closing: readonly SimulatedProcess[]): Promise<void> {
    for (const process of processes.values()) if (!closing.includes(process)) process.die()
    for (const process of closing) if (!process.isDead && processes.has(process.kernel)) await process.close()
  }
}

function failure(kind: RunFailure['kind'], thrown: unknown): RunFailure {
  return { kind, error: thrown instanceof Error ? thrown : new Error(String(thrown)) }
}

export function hashOf(values: unknown): string {
  return createHash('sha256').update(JSON.stringify(values)).digest('hex').slice(0, 16)
}
