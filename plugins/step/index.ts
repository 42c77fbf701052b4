import { definePlugin, refusal, type Kernel, type RunContext } from '../../kernel/index.ts'
import { addLazyMember } from '../_shared/lazy-member.ts'
import { createStepRunner } from '../_shared/sub-steps.ts'
import { copyValue } from '../_shared/value.ts'

/** Parts of a handler that are done once for all its attempts. */
export interface SubSteps {
  /**
   * Runs a function, or answers what it returned when an earlier attempt of this job finished it. A
   * name that is used again in one attempt counts on: `page`, `page#2`, …
   *
   * @throws what `fn` throws; nothing is kept then, and the next attempt runs it again
   * @example
   * const charge = await ctx.step.run('charge', () => stripe.charges.create(order))
   */
  run<T>(name: string, fn: () => T | Promise<T>): Promise<T>
  /** For runtimes: what an earlier attempt recorded under a name that is already counted. */
  lookup(name: string): Promise<{ found: boolean; result?: unknown }>
  /** For runtimes: keeps a result and answers the one that counts, which is the first. */
  record(name: string, result: unknown): Promise<unknown>
}

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    readonly step: SubSteps
  }
}

interface Memo {
  name: string
  result: unknown
}

/** Gives handlers `ctx.step`: results that are kept as events, so that a retry goes on behind the last one. */
export default definePlugin({
  name: 'step',
  requires: ['events'],
  setup(kernel) {
    addLazyMember(kernel, 'step', (ctx) => createSubSteps(kernel, ctx))
  },
})

function createSubSteps(kernel: Kernel, ctx: RunContext): SubSteps {
  const { job, runId } = ctx

  async function stored(name: string): Promise<Memo | undefined> {
    return (await kernel.port('events').byKey(runId, keyOf(name)))?.data as Memo | undefined
  }

  const keyOf = (name: string): string => `step:${job.id}:${name}`

  async function lookup(name: string) {
    // A first attempt that was handed out once has nothing behind it.
    const memo = ctx.claim > 1 ? await stored(name) : undefined
    return memo ? { found: true, result: memo.result } : { found: false }
  }

  async function record(name: string, given: unknown): Promise<unknown> {
    const result = copyValue(given, kernel.config.payloadLimit, `result of "${name}"`)
    const data: Memo = { name, result }
    const place = { flow: job.flow?.name, step: job.flow?.step ?? job.name, stepId: job.id }
    const appended = await ctx.append([{ type: 'step.memo', data, key: keyOf(name), ...place }])
    if (!appended.ok) throw refusal(appended.reason, job)
    return appended.events.length > 0 ? result : (await stored(name))?.result
  }

  const tracked: SubSteps['record'] = (name, result) => ctx.track(record(name, result))
  return { run: createStepRunner({ lookup, record: tracked }), lookup, record: tracked }
}
