import {
  isUnrecoverable,
  QueueError,
  serializeError,
  type PluginKernel,
  type RunContext,
} from '../../../kernel/index.ts'
import type { Memo, MemoData, Memos } from '../lib/step-record.ts'
import type { Known, StepFailure } from '../../lib/sub-steps.ts'
import { copyValue } from '../../lib/value.ts'
import type { MemosOf } from './memos.ts'
import { createReplayOrder } from './order.ts'

/** Reads and writes the recorded sub-steps of one attempt. `lib/step-record.ts` shows the states of a sub-step. */
export function createRecord(kernel: PluginKernel, ctx: RunContext, memosOf: MemosOf) {
  const { job, runId } = ctx
  let memos: Promise<Memos> | undefined
  /** Names of recorded sub-steps that this attempt has not requested. */
  const unrequested = new Set<string>()
  /** Failures that the handler has received. It has requested nothing since, so they are not final. */
  const failing = new Set<string>()
  /** The failures that the handler had caught before a sub-step began, by sub-step. */
  const failuresBefore = new Map<string, readonly string[]>()
  const inOrder = createReplayOrder()
  let called = ctx.invocation

  // A job that was claimed for the first time has no recorded sub-steps, unless its run is a fork.
  async function read(): Promise<Memos> {
    if (ctx.claim === 1 && !job.flow?.forked) return new Map()
    const found = await memosOf(runId, job.id)
    for (const name of found.keys()) unrequested.add(name)
    return found
  }

  /** A plugin may call the handler again. The sub-steps whose failures made it fail then run again. */
  async function known(): Promise<Memos> {
    const found = await (memos ??= read())
    if (called === ctx.invocation) return found
    called = ctx.invocation
    for (const name of failing) found.delete(name)
    failing.clear()
    return found
  }

  /** @throws QueueError `STEP_MISMATCH` */
  async function recall(name: string, kind: 'run' | 'wait'): Promise<Memo | undefined> {
    const memo = (await known()).get(name)
    unrequested.delete(name)
    if (!memo) {
      begin(name)
      return undefined
    }
    if ((memo.kind === 'wait') !== (kind === 'wait')) throw mismatch(name, kind)
    await inOrder(memo.seq)
    if (memo.kind === 'failed' && !memo.final) failing.add(name)
    return memo
  }

  function begin(name: string): void {
    if (failing.size === 0) return
    failuresBefore.set(name, [...failing])
    failing.clear()
  }

  function mismatch(name: string, kind: 'run' | 'wait'): QueueError {
    const [asked, done] = kind === 'run' ? ['runs a sub-step', 'waited'] : ['waits', 'ran a sub-step']
    const what = `This attempt of "${job.name}" ${asked} under the name "${name}", but an earlier one ${done} under it.`
    return new QueueError('STEP_MISMATCH', `${what} Give the new sub-step or wait another name.`, { retryable: false })
  }

  function dataOf(name: string, data: object): MemoData {
    const past = failuresBefore.get(name)
    return { name, ...data, ...(past && { past }) }
  }

  async function keep(name: string, memo: Memo): Promise<void> {
    ;(await known()).set(name, memo)
  }

  return {
    recall,
    past: (name: string) => failuresBefore.get(name),
    /** Returns the recorded names that this attempt has not requested. Empty until it has requested a name. */
    unrequested: (): readonly string[] => [...unrequested],
    async lookup(name: string): Promise<Known> {
      const memo = await recall(name, 'run')
      if (memo?.kind === 'failed') return { found: true, error: memo.error }
      return memo ? { found: true, result: copyValue(memo.result, Infinity, name) } : { found: false }
    },
    async record(name: string, given: unknown): Promise<unknown> {
      const result = copyValue(given, kernel.config.payloadLimit, `result of "${name}"`)
      const key = `step:${job.id}:${name}`
      const stored = await kernel.record(ctx, 'step.memo', dataOf(name, { result }), { key })
      if (stored) {
        await keep(name, { kind: 'run', seq: stored.seq, result: copyValue(result, Infinity, name) })
        return result
      }
      const first = await kernel.port('events').byKey(runId, key)
      return (first?.data as MemoData | undefined)?.result
    },
    /** Records nothing if the job was asked to stop, because the error then says nothing about the sub-step. */
    async fail(name: string, thrown: unknown): Promise<StepFailure | undefined> {
      if (ctx.cancelled) return undefined
      const error: StepFailure = { ...serializeError(thrown), ...(isUnrecoverable(thrown) && { retryable: false }) }
      const stored = await kernel.record(ctx, 'step.memo.failed', dataOf(name, { error }))
      await keep(name, { kind: 'failed', seq: stored?.seq ?? Infinity, error, final: false })
      failing.add(name)
      return error
    },
    keepWait: (name: string, memo: Extract<Memo, { kind: 'wait' }>): Promise<void> => keep(name, memo),
  }
}
export type StepRecord = ReturnType<typeof createRecord>
