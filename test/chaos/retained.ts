import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kernel, KernelConfig } from 'nuxt-queue'
import { LEASE } from './adapters.ts'

/** How long ended jobs are kept, in milliseconds: eight leases, as by default. A job whose acknowledgement was lost is delivered again within that time. */
const AGE = 8 * LEASE
/** Children are removed while their parents still sleep. */
const REST = AGE + 2000
/** Between two moments of the schedule, in milliseconds. */
const BEAT = 500

const bound = { age: AGE, count: 20 }
/**
 * A moment may start late, after an outage of the store and an expired lease. Its id is remembered until then.
 */
const KNOWN = 60_000
export const FORGETFUL: KernelConfig = {
  retention: {
    completed: bound,
    failed: bound,
    cancelled: bound,
    minAge: AGE,
    deduplication: KNOWN,
    sweepInterval: 500,
  },
}

/** One line that a handler wrote to a file of this machine, which no store and no retention touches. */
type Note = { ran: string; claim: number; at: number } | { returned: string } | { result: string; value: unknown }

/**
 * Parents whose children are removed before the parents end, and a schedule whose jobs are removed soon.
 *
 * @param journal the file in which handlers write what they did
 */
export async function registerRetained(kernel: Kernel, journal: string): Promise<void> {
  const note = (line: Note): void => appendFileSync(journal, `${JSON.stringify(line)}\n`)
  const config = { concurrency: 8, attempts: 10, backoff: 20 }
  await kernel.registerWorker({
    id: 'parent',
    config: { ...config, queue: 'parent', flow: { name: 'parent', role: 'entry' } },
    async handler({ runId }, ctx) {
      const parts: unknown[] = []
      for (const n of [1, 2]) {
        parts.push(await ctx.flow.start('child', `${runId}/${n}`, { wait: true }))
        note({ returned: `${runId}/${n}` })
        await ctx.step.sleep(`rest ${n}`, REST)
      }
      note({ result: runId, value: parts })
      return parts
    },
  })
  await kernel.registerWorker({
    id: 'child',
    config: { ...config, queue: 'child', flow: { name: 'child', role: 'entry' } },
    async handler({ data }, { claim }) {
      note({ ran: String(data), claim, at: Date.now() })
      await sleep(20)
      return data
    },
  })
  await kernel.registerWorker({
    id: 'beat',
    config: { ...config, queue: 'beat', schedule: { every: BEAT, catchUp: 'all' } },
    handler: ({ id }, { claim }) => note({ ran: id, claim, at: Date.now() }),
  })
}

/** Returns the violated guarantees: a parent without its result, a child or moment that was started twice, or a missing moment. */
export function* retentionFaults(journal: string, acknowledged: readonly string[]): Generator<string> {
  const notes = readFileSync(journal, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Note)
  const results = new Map<string, unknown>()
  const returned = new Set<string>()
  const claims = new Map<string, number>()
  const moments = new Set<number>()
  for (const one of notes) {
    if ('result' in one) results.set(one.result, one.value)
    else if ('returned' in one) returned.add(one.returned)
    else {
      if (returned.has(one.ran)) yield `${one.ran} ran after its parent had its result`
      // A job that is stored a second time begins again with its first claim.
      const claim = `${one.ran} claim ${one.claim}`
      const before = claims.get(claim)
      if (before !== undefined) yield `${claim} ran again after ${one.at - before} ms`
      claims.set(claim, one.at)
      if (one.ran.startsWith('beat.')) moments.add(Number(one.ran.slice('beat.'.length)))
    }
  }
  for (const id of acknowledged) {
    const expected = JSON.stringify([`${id}/1`, `${id}/2`])
    const result = JSON.stringify(results.get(id))
    if (result !== expected) yield `parent ${id} was acknowledged and results in ${result}`
  }
  const [first, last] = [Math.min(...moments), Math.max(...moments)]
  for (let moment = first; moment < last; moment += BEAT)
    if (!moments.has(moment)) yield `nothing ran for the moment ${moment}`
}
