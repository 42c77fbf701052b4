import {
  assertFreeEvent,
  isDeferral,
  QueueError,
  type DispatchPayload,
  type EventDraft,
  type PluginKernel,
  type Next,
} from '../../../kernel/index.ts'
import type { AwaitResult } from './options.ts'
import { stageWait, type WaitRecord } from './record.ts'
import { describeWait } from './request.ts'
import type { WaitStreams } from './streams.ts'
import type { Waits } from './waits.ts'

/** The outcome of a handler, stored while its step waits with `awaitAfter`. */
interface HandlerOutcome {
  result: unknown
  outbox: readonly EventDraft[]
}

const keptKey = (jobId: string): string => `returned:${jobId}`

type Verdict = 'wait' | 'go' | 'skip'

/**
 * Delays the handler of a job with `awaitBefore`, and its completion with `awaitAfter`.
 *
 * ```
 *                awaitBefore is over           returned           awaitAfter is over
 *   dispatch ──▶ before ─────────▶ handler ────────────▶ after ─────────────▶ completed
 *                 │ ▲                                    │ ▲
 *                 ▼ │                                    ▼ │
 *               deferred                               deferred
 * ```
 *
 * A job that waits is deferred, and each later attempt starts at `dispatch`. `step.returned` keeps the outcome of the
 * handler, so such an attempt goes straight to `after`.
 */
export function createStages(kernel: PluginKernel, streams: WaitStreams, waits: Waits) {
  return async function withWaits(dispatch: DispatchPayload, next: Next): Promise<void> {
    const { awaitBefore, awaitAfter } = dispatch.worker.worker
    let kept = awaitAfter && (await lookUp(dispatch))
    if (!kept) {
      const verdict = awaitBefore ? await hold(dispatch, 'before') : 'go'
      if (verdict === 'skip') dispatch.result = undefined
      if (verdict !== 'go') return
      await next()
      if (!awaitAfter || isDeferral(dispatch.result)) return
      kept = { result: dispatch.result, outbox: takeOutbox(dispatch) }
      await keep(dispatch, kept)
    }
    const verdict = await hold(dispatch, 'after')
    if (verdict === 'wait') return
    dispatch.result = kept.result
    if (verdict === 'go') kernel.outbox(dispatch.ctx).push(...kept.outbox)
  }

  async function hold(dispatch: DispatchPayload, stage: 'before' | 'after'): Promise<Verdict> {
    const { ctx, job, worker } = dispatch
    const options = (stage === 'before' ? worker.worker.awaitBefore : worker.worker.awaitAfter)!
    const status = await waits.look(ctx, stageWait(stage), () => describeWait(options, job, kernel.clock), {
      registered: (record) => notifyRegistered(dispatch, stage, record),
    })
    if (!status.over) {
      dispatch.result = ctx.defer({ until: status.wakeAt })
      return 'wait'
    }
    const { name: _name, ...awaited } = status.result
    if (stage === 'before') Object.assign(ctx, { awaited })
    await notifyResolved(dispatch, stage, awaited)
    if (!awaited.timedOut || options.timeoutAction === 'continue') return 'go'
    if (options.timeoutAction === 'skip') return 'skip'
    const when = stage === 'before' ? 'before its handler ran' : 'after its handler had returned'
    const message = `Step "${job.flow?.step ?? job.name}" timed out: it waited ${options.timeout} ms ${when}.`
    throw new QueueError('WAIT_TIMEOUT', message, { retryable: false })
  }

  async function notifyRegistered(
    dispatch: DispatchPayload,
    stage: 'before' | 'after',
    record: WaitRecord,
  ): Promise<void> {
    const { job, ctx, worker } = dispatch
    const onRegister = worker.worker.onAwaitRegister
    const webhooks = record.parts.flatMap((part) => (part.type === 'webhook' ? [part] : []))
    if (!onRegister) {
      if (webhooks.length === 0) return
      const what = `Worker "${worker.id}" waits for a webhook, but has no onAwaitRegister to receive the URL.`
      throw new QueueError('WAIT_INVALID', `${what} Export it from the worker file.`, { retryable: false })
    }
    await once(dispatch, `registered:${stage}`, async () => {
      // The store has only the hash of a token, so each call of the callback makes a new one.
      const tokens = await Promise.all(
        webhooks.map(({ event, key, hashed }) => (hashed ? streams.issueToken(event, key) : key)),
      )
      const urls = tokens.map((token) => kernel.webhooks.url(`wait/${token}`))
      await onRegister({ stage, urls, url: urls[0], until: record.until }, job, ctx)
    })
  }

  async function notifyResolved(dispatch: DispatchPayload, stage: string, awaited: AwaitResult): Promise<void> {
    const onResolve = dispatch.worker.worker.onAwaitResolve
    if (onResolve) await once(dispatch, `resolved:${stage}`, async () => onResolve(awaited, dispatch.job, dispatch.ctx))
  }

  /** Makes a call at least once. The call is repeated only if the process dies before the record is stored. */
  async function once({ ctx, job }: DispatchPayload, what: string, call: () => Promise<void>): Promise<void> {
    const key = `told:${job.id}:${what}`
    if (ctx.claim > 1 && (await kernel.port('events').byKey(ctx.runId, key))) return
    await call()
    await kernel.record(ctx, 'step.told', { what }, { key })
  }

  async function lookUp({ ctx, job }: DispatchPayload): Promise<HandlerOutcome | undefined> {
    const event = ctx.claim > 1 ? await kernel.port('events').byKey(ctx.runId, keptKey(job.id)) : undefined
    return event?.data as HandlerOutcome | undefined
  }

  /**
   * Removes and returns the events to store with the completion: the events of the handler, which may not use reserved types, and the
   * events of plugins.
   */
  function takeOutbox({ ctx }: DispatchPayload): EventDraft[] {
    for (const draft of ctx.outbox) assertFreeEvent(draft.type, draft.key)
    return [...ctx.outbox.splice(0), ...kernel.outbox(ctx).splice(0)]
  }

  /** Stores the outcome of the handler, so that it does not run again after the wait. */
  async function keep({ ctx, job }: DispatchPayload, kept: HandlerOutcome): Promise<void> {
    await kernel.record(ctx, 'step.returned', kept, { key: keptKey(job.id) })
  }
}
