import {
  assertFreeEvent,
  isDeferral,
  QueueError,
  type DispatchPayload,
  type EventDraft,
  type PluginKernel,
  type Next,
} from '../../../kernel/index.ts'
import type { Awaited } from './options.ts'
import { stageWait, type WaitRecord } from './record.ts'
import { describeWait } from './request.ts'
import type { WaitStreams } from './streams.ts'
import type { Waits } from './waits.ts'

/** What a handler left behind that is kept while its step waits. */
interface Kept {
  result: unknown
  outbox: readonly EventDraft[]
}

const keptKey = (jobId: string): string => `returned:${jobId}`

type Verdict = 'wait' | 'go' | 'skip'

/** Holds a job back before its handler, and its completion after it. */
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
      registered: (record) => announce(dispatch, stage, record),
    })
    if (!status.over) {
      dispatch.result = ctx.defer({ until: status.wakeAt })
      return 'wait'
    }
    const { name: _name, ...awaited } = status.result
    if (stage === 'before') Object.assign(ctx, { awaited })
    await tellResolved(dispatch, stage, awaited)
    if (!awaited.timedOut || options.timeoutAction === 'continue') return 'go'
    if (options.timeoutAction === 'skip') return 'skip'
    const message = `Step "${job.flow?.step ?? job.name}" waited ${options.timeout} ms in vain ${stage} its handler.`
    throw new QueueError('WAIT_TIMEOUT', message, { retryable: false })
  }

  async function announce(dispatch: DispatchPayload, stage: 'before' | 'after', record: WaitRecord): Promise<void> {
    const { job, ctx, worker } = dispatch
    const tell = worker.worker.onAwaitRegister
    const webhooks = record.parts.flatMap((part) => (part.type === 'webhook' ? [part] : []))
    if (!tell) {
      if (webhooks.length === 0) return
      const hint = 'Export onAwaitRegister from its file, or nobody learns the URL.'
      throw new QueueError('WAIT_INVALID', `Worker "${worker.id}" waits for a webhook. ${hint}`, { retryable: false })
    }
    await once(dispatch, `registered:${stage}`, async () => {
      // Nobody could look up a token that was made before a crash, so each call has its own.
      const tokens = await Promise.all(
        webhooks.map(({ event, key, hashed }) => (hashed ? streams.issueToken(event, key) : key)),
      )
      const urls = tokens.map((token) => kernel.webhooks.url(`wait/${token}`))
      await tell({ stage, urls, url: urls[0], until: record.until }, job, ctx)
    })
  }

  async function tellResolved(dispatch: DispatchPayload, stage: string, awaited: Awaited): Promise<void> {
    const tell = dispatch.worker.worker.onAwaitResolve
    if (tell) await once(dispatch, `resolved:${stage}`, async () => tell(awaited, dispatch.job, dispatch.ctx))
  }

  /** At least once, and only once when nothing dies in between. */
  async function once({ ctx, job }: DispatchPayload, what: string, call: () => Promise<void>): Promise<void> {
    const key = `told:${job.id}:${what}`
    if (ctx.claim > 1 && (await kernel.port('events').byKey(ctx.runId, key))) return
    await call()
    await kernel.record(ctx, 'step.told', { what }, { key })
  }

  async function lookUp({ ctx, job }: DispatchPayload): Promise<Kept | undefined> {
    const event = ctx.claim > 1 ? await kernel.port('events').byKey(ctx.runId, keptKey(job.id)) : undefined
    return event?.data as Kept | undefined
  }

  /** What is stored with the completion: the handler's own events, which may not be ours, and those of plugins. */
  function takeOutbox({ ctx }: DispatchPayload): EventDraft[] {
    for (const draft of ctx.outbox) assertFreeEvent(draft.type, draft.key)
    return [...ctx.outbox.splice(0), ...kernel.outbox(ctx).splice(0)]
  }

  /** The handler is done, and is not run again after the wait. */
  async function keep({ ctx, job }: DispatchPayload, kept: Kept): Promise<void> {
    await kernel.record(ctx, 'step.returned', kept, { key: keptKey(job.id) })
  }
}
