import { setTimeout as sleep } from 'node:timers/promises'
import { QueueError, type Kernel, type RunContext } from '../../kernel/index.ts'
import { createStepRunner } from '../_shared/sub-steps.ts'
import { copyValue } from '../_shared/value.ts'
import { over, type Suspendable } from '../_shared/suspension.ts'
import type { EventWait, SubSteps, Wait } from './api.ts'
import type { Memo, MemosOf } from './memos.ts'
import { requestOf } from './request.ts'
import { createSuspension, VERBS } from './suspension.ts'

/** How long another process may take to say what else it asks for at the same time. */
const REMOTE_TURN = 1000

type Beside = () => Promise<unknown>

const turn: Beside = () => new Promise((resolve) => setImmediate(resolve))

export function createSubSteps(kernel: Kernel, ctx: RunContext, memosOf: MemosOf): SubSteps {
  const { job, runId } = ctx
  /** What earlier attempts recorded and this one has not asked for yet. */
  let unasked: Promise<Map<string, Memo>> | undefined
  /** Parts that have begun in this attempt and are not recorded. */
  let underway = 0
  let asked = 0
  let another = Promise.withResolvers<void>()
  const suspend = createSuspension(ctx)

  // A first attempt that was handed out once has nothing behind it, unless somebody else did it.
  const remembered = (): Promise<Map<string, Memo>> =>
    (unasked ??=
      ctx.claim > 1 || job.flow?.forked
        ? memosOf(runId, job.id).then((memos) => new Map(memos))
        : Promise.resolve(new Map()))

  /**
   * @param beside resolves once what is asked for beside it has come
   * @throws QueueError `STEP_MISMATCH`
   */
  async function recall(name: string, kind: Memo['kind'], beside: Beside): Promise<Memo | undefined> {
    const left = await remembered()
    const mine = ++asked
    another.resolve()
    another = Promise.withResolvers()
    const memo = left.get(name)
    left.delete(name)
    if (memo && memo.kind !== kind) {
      throw mismatch(`asks "${name}" to ${VERBS[kind]}, which an earlier attempt had ${VERBS[memo.kind]}`)
    }
    if (memo) return memo
    underway++
    if (isAhead(left)) await beside()
    if (isAhead(left) && asked === mine) {
      const names = [...left.keys()].map((one) => `"${one}"`).join(', ')
      throw mismatch(`asks for "${name}" without having asked for ${names}, which an earlier attempt has done`)
    }
    return undefined
  }

  const remoteTurn: Beside = () => Promise.race([another.promise, sleep(REMOTE_TURN, undefined, { ref: false })])

  /** One after the other, the recorded parts come before any new one. */
  const isAhead = (left: ReadonlyMap<string, Memo>): boolean => left.size > 0 && underway === 1

  function mismatch(what: string): QueueError {
    const hint = 'Ask for the same names in the same order each time: what varies belongs inside step.run.'
    return new QueueError('STEP_MISMATCH', `This attempt of "${job.name}" ${what}. ${hint}`, { retryable: false })
  }

  async function lookup(name: string, beside: Beside) {
    const memo = await recall(name, 'run', beside)
    return memo ? { found: true, result: memo.result } : { found: false }
  }

  async function record(name: string, given: unknown): Promise<unknown> {
    const result = copyValue(given, kernel.config.payloadLimit, `result of "${name}"`)
    const key = `step:${job.id}:${name}`
    const stored = await ctx.emit('step.memo', { name, result }, { key })
    underway--
    if (stored) return result
    const first = await kernel.port('events').byKey(runId, key)
    return (first?.data as { result: unknown } | undefined)?.result
  }

  async function wait(name: string, asked: Wait, beside: Beside): Promise<Suspendable> {
    const memo = await recall(name, 'wait', beside)
    const known = memo?.kind === 'wait' ? memo.result : undefined
    const status = await kernel.waits.look(ctx, name, () => requestOf(asked, kernel.clock.now()), { known })
    if (status.over) {
      if (!memo) underway--
      return over(status.result.payload)
    }
    suspend.until(status.wakeAt)
    return { over: false, until: status.wakeAt }
  }

  /** The end of the attempt waits for what goes on beside it. */
  const tracked = <T>(promise: Promise<T>): Promise<T> => {
    void ctx.track(
      promise.then(
        () => {},
        () => {},
      ),
    )
    return promise
  }

  const { run, pause, counted } = createStepRunner({
    lookup: (name) => lookup(name, turn),
    record,
    leave: suspend.deferral,
  })
  const ask = (given: string, asked: Wait): Promise<unknown> => {
    const name = counted(given)
    return pause(() => tracked(wait(name, asked, turn)))
  }

  return {
    run: (name, fn) => tracked(run(name, fn)),
    async sleep(name, until) {
      await ask(name, { kind: 'sleep', ...(until instanceof Date ? { until: until.getTime() } : { delay: until }) })
    },
    waitForEvent: <T>(name: string, options: EventWait) =>
      ask(name, { kind: 'event', ...options }) as Promise<T | undefined>,
    lookup: (name) => lookup(name, remoteTurn),
    record: (name, result) => ctx.track(record(name, result)),
    wait: (name, asked) => tracked(wait(name, asked, remoteTurn)),
    deferral: suspend.deferral,
  }
}
