import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Kernel, RunInfo, StoredEvent } from 'nuxt-queue'
import { retentionFaults } from './retained.ts'
import { FLOW_RESULTS, FLOW_STATES, madeBy, type Workload } from './workload.ts'

export interface Verdict {
  jobs: number
  runs: number
  events: number
  /** The number of jobs by outcome. */
  ended: Record<string, number>
  /** The violated guarantees. Empty if the run is correct. */
  violations: string[]
}

const QUEUES = [
  'plain',
  'keyed',
  'serial',
  'fan',
  'order',
  'hostile',
  'holder',
  'batch',
  'calm',
  'outer',
  'parent',
  'child',
]
const TERMINAL = /^(?:step|flow)\.(?:completed|failed|cancelled)$/
/** How long nothing may change while work remains, in milliseconds. This does not limit the total time, because a busy machine takes longer. */
const PATIENCE = 90_000
const MANY = 1_000_000
/** State that each update counts up by one. */
const COUNTED = ['runs', 'parts']

export interface Evidence {
  /** The file that lists everything that was acknowledged. */
  acknowledged: string
  /** The file in which handlers recorded their actions. */
  journal: string
  workload: Workload
}

/** Waits until no work is left, then checks everything that was stored. */
export async function verify(kernel: Kernel, { acknowledged, journal, workload }: Evidence): Promise<Verdict> {
  const violations: string[] = []
  const fail = (what: string): void => void violations.push(what)
  const idle = await workOff(kernel)
  if (idle) fail(idle)
  const jobs = await kernel.port('queue').getJobs({ limit: MANY })
  const ours = jobs.filter(({ queue }) => QUEUES.includes(queue))
  const runs = new Map((await kernel.port('events').runs.list({ limit: MANY })).map((run) => [run.runId, run]))
  const ended: Record<string, number> = {}
  for (const { state } of ours) ended[state] = (ended[state] ?? 0) + 1

  const known = new Set(ours.map(({ queue, id }) => `${queue}/${id}`))
  const newest = new Map<string, number>()
  const calls = readFileSync(acknowledged, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as [string, number])
  if (workload === 'retention') {
    violations.push(
      ...retentionFaults(
        journal,
        calls.map(([id]) => id),
      ),
    )
    return { jobs: ours.length, runs: runs.size, events: 0, ended, violations: violations.slice(0, 50) }
  }
  for (const [id, n] of calls) {
    const made = madeBy(id, n, workload)
    if ('run' in made) {
      if (!runs.has(made.run)) fail(`run ${made.run} was acknowledged and is lost`)
    } else if ('window' in made) {
      newest.set(made.window, Math.max(n, newest.get(made.window) ?? 0))
    } else {
      for (const one of made.ids)
        if (!known.has(`${made.queue}/${one}`)) fail(`job ${one} was acknowledged and is lost`)
    }
  }

  const calm = ours.filter(({ queue, state }) => queue === 'calm' && state === 'completed')
  for (const [window, n] of newest) {
    const ran = calm.map(({ result }) => result as { key: string; n: number } | undefined)
    const last = Math.max(-1, ...ran.flatMap((one) => (one?.key === window ? [one.n] : [])))
    if (last < n) fail(`window ${window} ran up to ${last}, and ${n} was acknowledged`)
  }

  let events = 0
  const jobsOf = Map.groupBy(ours, ({ runId }) => runId)
  for (const [runId, members] of jobsOf) {
    const stored = await kernel.port('events').read(runId)
    events += stored.length
    for (const what of historyFaults(stored)) fail(`run ${runId}: ${what}`)
    for (const { id, state } of members) {
      const ends = stored.filter(({ type, stepId }) => stepId === id && TERMINAL.test(type) && type.startsWith('step.'))
      if (ends.length !== 1) fail(`job ${id} is ${state} and has ${ends.length} ends`)
      else if (ends[0]!.type !== `step.${state}`) fail(`job ${id} is ${state} and its run says ${ends[0]!.type}`)
    }
    for (const what of runFaults(runs.get(runId), stored)) fail(`run ${runId}: ${what}`)
    const told = await kernel.state(runId)
    if (JSON.stringify(told) !== JSON.stringify(folded(stored)))
      fail(`run ${runId}: its state is not what its events say`)
    const expected = FLOW_STATES[runs.get(runId)?.flow ?? '']
    if (expected !== undefined && !isDeepStrictEqual(told, expected))
      fail(`run ${runId}: its state is ${JSON.stringify(told)}`)
    for (const key of COUNTED) {
      const writes = stored.filter(({ type, data }) => type === 'state.set' && (data as { key: string }).key === key)
      if ((told[key] ?? 0) !== writes.length)
        fail(`run ${runId}: ${key} is ${String(told[key])} after ${writes.length} updates`)
    }
  }
  for (const queue of QUEUES) {
    const counts = await kernel.port('queue').getJobCounts(queue)
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
    const listed = ours.filter((job) => job.queue === queue).length
    if (total !== listed) fail(`queue ${queue} counts ${total} jobs and lists ${listed}`)
    const found = await search(kernel, queue)
    const missed = ours.filter((job) => job.queue === queue && !found.has(job.id))
    if (missed.length > 0 || found.size !== listed)
      fail(`queue ${queue} lists ${listed} jobs, and a search finds ${found.size} without ${missed.length} of them`)
  }
  return { jobs: ours.length, runs: jobsOf.size, events, ended, violations: violations.slice(0, 50) }
}

/** The ids that the index of a queue leads to, whatever process died while it wrote. */
async function search(kernel: Kernel, queue: string): Promise<Set<string>> {
  const found = new Set<string>()
  for (let after: string | undefined; ;) {
    const page = await kernel.findJobs({ queue, limit: 1000, ...(after !== undefined && { after }) })
    for (const { id } of page.jobs) found.add(id)
    after = page.next
    if (after === undefined) return found
  }
}

/** Waits until no work remains. Returns the remaining work if nothing has changed for that long. */
async function workOff(kernel: Kernel): Promise<string | undefined> {
  let [deadline, before] = [Infinity, '']
  for (;;) {
    const counts = await Promise.all(QUEUES.map((queue) => kernel.port('queue').getJobCounts(queue)))
    const left = counts.map(({ waiting, active, delayed }) => waiting + active + delayed)
    const open = (await kernel.port('events').runs.list({ status: 'running', limit: 10 })).filter(
      ({ queue }) => queue === undefined || QUEUES.includes(queue),
    )
    if (left.every((count) => count === 0) && open.length === 0) return undefined
    const now = JSON.stringify(counts)
    if (now !== before) [deadline, before] = [Date.now() + PATIENCE, now]
    if (Date.now() > deadline) {
      const states = ['waiting', 'active', 'delayed'] as const
      const rest = (
        await Promise.all(QUEUES.map((queue) => kernel.port('queue').getJobs({ queue, states, limit: 2 })))
      ).flat()
      return `for ${PATIENCE} ms there are ${left.join(', ')} jobs in ${QUEUES.join(', ')}, open runs ${open.map(({ runId }) => runId).join(', ')}; ${JSON.stringify(rest)}`
    }
    await sleep(100)
  }
}

function* historyFaults(events: readonly StoredEvent[]): Generator<string> {
  const keys = events.flatMap(({ key }) => (key === undefined ? [] : [key]))
  if (new Set(keys).size !== keys.length) yield 'a key is used twice'
  for (const [index, { seq, ts }] of events.entries()) {
    if (seq !== index + 1) return yield `event ${index + 1} has seq ${seq}`
    if (index > 0 && ts < events[index - 1]!.ts) return yield `event ${seq} is older than the one before`
  }
}

function* runFaults(run: RunInfo | undefined, events: readonly StoredEvent[]): Generator<string> {
  if (!run) return yield 'is not in the index'
  if (run.head !== events.length) yield `the index says it has ${run.head} events, and there are ${events.length}`
  const ends =
    run.flow === undefined
      ? events.filter(({ type }) => TERMINAL.test(type))
      : events.filter(({ key }) => key === 'end')
  const [end] = ends
  if (ends.length !== 1) return yield `has ${ends.length} ends`
  if (end!.type.split('.')[1] !== run.status) yield `the index says ${run.status}, its end says ${end!.type}`
  if (run.flow === undefined) return
  const { result } = end!.data as { result?: unknown }
  if (end!.type !== 'flow.completed' || !FLOW_RESULTS[run.flow]?.(result)) {
    yield `its flow results in ${JSON.stringify(end!.data)}`
  }
}

/** Computes the state without the plugin: the last write of each key. */
function folded(events: readonly StoredEvent[]): Record<string, unknown> {
  const state: Record<string, unknown> = {}
  for (const { type, data } of events) {
    const { key, value } = (data ?? {}) as { key: string; value: unknown }
    if (type === 'state.set') state[key] = value
  }
  return state
}
