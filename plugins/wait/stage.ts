import {
  isDeferral,
  QueueError,
  type DispatchPayload,
  type EventDraft,
  type Kernel,
  type Next,
} from '../../kernel/index.ts'
import type { Awaited } from './options.ts'
import { stageWait, type WaitRecord } from './record.ts'
import { describeWait } from './request.ts'
import type { Waits } from './waits.ts'

/** What a handler left behind that is kept while its step waits. */
interface Kept {
  result: unknown
  outbox: readonly EventDraft[]
}

const keptKey = (jobId: string): string => `returned:${jobId}`

type Verdict = 'wait' | 'go' | 'skip'

/** Holds a job back before its handler, and its completion after it. */
export function createStages(kernel: Kernel, waits: Waits) {
  return async function withWaits(dispatch: DispatchPayload, next: Next): Promise<void> {
    const { awaitBefore, awaitAfter } = dispatch.worker.worker
    const kept = awaitAfter && (await lookUp(dispatch))
    if (!kept) {
      const verdict = awaitBefore ? await hold(dispatch, 'before') : 'go'
      if (verdict === 'skip') dispatch.result = undefined
      if (verdict !== 'go') return
      await next()
      if (!awaitAfter || isDeferral(dispatch.result)) return
      await keep(dispatch)
    }
    const { result, outbox } = kept ?? { result: dispatch.result, outbox: dispatch.ctx.outbox.splice(0) }
    const verdict = await hold(dispatch, 'after')
    if (verdict === 'wait') return
    dispatch.result = result
    if (verdict === 'go') dispatch.ctx.outbox.push(...outbox)
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
    const webhooks = record.parts.flatMap((part) => (part.type === 'webhook' ? [part.key] : []))
    if (!tell) {
      if (webhooks.length === 0) return
      const hint = 'Export onAwaitRegister from its file, or nobody learns the URL.'
      throw new QueueError('WAIT_INVALID', `Worker "${worker.id}" waits for a webhook. ${hint}`, { retryable: false })
    }
    const urls = webhooks.map((token) => kernel.webhooks.url(`wait/${token}`))
    await once(dispatch, `registered:${stage}`, async () =>
      tell({ stage, urls, url: urls[0], until: record.until }, job, ctx),
    )
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
    await ctx.emit('step.told', { what }, { key })
  }

  async function lookUp({ ctx, job }: DispatchPayload): Promise<Kept | undefined> {
    const event = ctx.claim > 1 ? await kernel.port('events').byKey(ctx.runId, keptKey(job.id)) : undefined
    return event?.data as Kept | undefined
  }

  /** The handler is done, and is not run again after the wait. */
  async function keep({ ctx, job, result }: DispatchPayload): Promise<void> {
    const data: Kept = { result, outbox: ctx.outbox }
    await ctx.emit('step.returned', data, { key: keptKey(job.id) })
  }
}
