import type { Chains, Enqueue, EnqueuedJob, EnqueueItem, EnqueueOptions, EnqueuePayload } from '../contracts/index.ts'
import type { EnqueueReceipt, WorkerAddress, JobArguments, JobFlow, JobTarget, Kernel } from '../contracts/index.ts'
import type { JobOutput, MaybePromise } from '../contracts/index.ts'
import { checkComposed, checkDuration, checkHeaders, checkKeys, checkMoment, checkTags, checkText } from './bounds.ts'
import { didYouMean, invalid, isMoment, isPriority, EXPECTED } from './bounds.ts'
import { channels, traced } from './channels.ts'
import { QueueError } from './errors.ts'
import { shown } from './shown.ts'
import { after } from './promises.ts'
import { assertFree } from './reserved.ts'

const ITEM_KEYS = ['worker', 'data', 'options']

export function createEnqueue(kernel: Kernel, chains: Chains, assertOpen: () => void): Enqueue {
  function lookUp(target: JobTarget) {
    if (typeof target !== 'string') return addressOf(target)
    const worker = kernel.registry.get(target)
    if (worker) return { queue: worker.queue.name, name: worker.name, worker }
    const ids = kernel.registry.workers.map(({ id }) => id).filter((id) => !id.startsWith('_'))
    const hint = `${didYouMean(target, ids)} Known: ${ids.join(', ') || 'none'}. For remote workers, pass { queue, name }.`
    const message = `There is no worker ${shown(target)}.${hint}`
    throw new QueueError('WORKER_UNKNOWN', message)
  }

  function addressOf(target: WorkerAddress) {
    const { queue, name } = Object(target) as Partial<WorkerAddress>
    if (typeof queue !== 'string' || typeof name !== 'string') {
      throw invalid('What to enqueue', 'the id of a worker, or { queue, name }', target)
    }
    return { queue, name, worker: kernel.registry.find(queue, name) }
  }

  function prepare(target: JobTarget, data: unknown, options: EnqueueOptions = {}): EnqueuePayload {
    assertOpen()
    const { queue, name, worker } = lookUp(target)
    if (typeof options !== 'object' || options === null) throw invalid(`Options of job "${name}"`, 'an object', options)
    const { priority = 0, delay = 0, flow, tags, headers } = options
    const given = options.id ?? options.once
    const id = given ?? kernel.newId()
    if (typeof options.runId === 'string') assertFree('run', options.runId)
    const runId = options.runId ?? (given === undefined ? id : kernel.newId())
    const createdAt = kernel.clock.now()
    const runAt = delay === 0 ? createdAt : momentOf(delay, createdAt, name)
    const job = { id, queue, name, data, runId, options, priority, createdAt, runAt, flow, tags, headers }
    return { worker, options, job, result: undefined, veto: undefined, batch: false }
  }

  function through(payload: EnqueuePayload, innermost: typeof store): MaybePromise<void> {
    if (!channels.enqueue.hasSubscribers) return chains.enqueue(payload, innermost)
    const { job, worker, batch } = payload
    return traced(channels.enqueue, { job, worker, batch }, () => chains.enqueue(payload, innermost))
  }

  const store = (payload: EnqueuePayload): MaybePromise<void> => {
    checkDraft(payload)
    return after(kernel.port('queue').enqueue(payload.job, payload.options), (receipt) => received(payload, receipt))
  }

  return {
    async enqueue<T extends JobTarget>(target: T, ...[data, options]: JobArguments<T>) {
      const payload = prepare(target, data, options)
      return after(through(payload, store), () => answer(kernel, payload) as EnqueuedJob<JobOutput<T>>)
    },
    /** Each job passes through its own chain. The jobs are stored together once all chains have reached their innermost end. */
    async enqueueMany(items) {
      if (!Array.isArray(items)) throw invalid('What to enqueue', 'an array of { worker, data, options }', items)
      const payloads = items.map((item: EnqueueItem) => {
        checkKeys('A job to enqueue', item, ITEM_KEYS)
        return { ...prepare(item.worker, item.data, item.options), batch: true }
      })
      const arrived = new Set<EnqueuePayload>()
      const stored = Promise.withResolvers<void>()
      // The chains that await this promise receive the failure. Before one of them does, the rejection must not count as unhandled.
      stored.promise.catch(() => {})
      let expected = payloads.length

      async function storeAll(): Promise<void> {
        const all = [...arrived]
        const receipts = await kernel.port('queue').enqueueMany(
          all.map(({ job }) => job),
          all.map(({ options }) => options),
        )
        receipts.forEach((receipt, index) => received(all[index]!, receipt))
      }
      function storeWhenComplete(): void {
        if (arrived.size === expected) stored.resolve(storeAll())
      }
      const arrive = (payload: EnqueuePayload): Promise<void> => {
        checkDraft(payload)
        arrived.add(payload)
        storeWhenComplete()
        return stored.promise
      }
      const pass = async (payload: EnqueuePayload): Promise<void> => {
        await through(payload, arrive)
        if (arrived.has(payload)) return
        answer(kernel, payload)
        expected--
        storeWhenComplete()
      }
      storeWhenComplete()
      await Promise.all(payloads.map((payload) => pass(payload).catch(stored.reject)))
      await stored.promise
      return payloads.map((payload) => answer(kernel, payload))
    },
  }
}

/** @throws QueueError `OPTION_INVALID` */
function momentOf(delay: number | Date, now: number, name: string): number {
  const what = `Option "delay" of job "${name}"`
  return typeof delay === 'number' || !isMoment(delay) ? now + checkDuration(what, delay) : checkMoment(what, delay)
}

/**
 * Checks a job before it reaches an adapter, because hooks may have changed the values that the caller passed.
 *
 * @throws QueueError `OPTION_INVALID`
 */
function checkDraft({ job, worker }: EnqueuePayload): void {
  const { id, runId, queue, name, priority, runAt, createdAt, flow, tags, headers } = job
  // All hooks have run at this point, so the data is no longer needed.
  if (flow?.dataInLog) job.data = undefined
  checkText('The id of a job', id)
  if (runId !== id) checkText('The run id of a job', runId)
  if (queue !== worker?.queue.name) checkText('The queue of a job', queue)
  // A job without a name goes to the only worker of its queue.
  if (name !== worker?.name && name !== '') checkText('The name of a job', name)
  if (!isPriority(priority)) throw invalid('The priority of a job', EXPECTED.priority, priority)
  if (runAt !== createdAt) checkMoment('The due time of a job', runAt)
  checkMoment('The creation time of a job', createdAt)
  if (flow) checkFlow(flow)
  if (tags) job.tags = checkTags('The tags of a job', tags)
  if (headers) job.headers = checkHeaders('The headers of a job', headers)
}

function checkFlow({ name, step, cause, start }: JobFlow): void {
  checkText('The name of a flow', name)
  checkText('The name of a step', step)
  if (cause !== undefined) checkComposed('The cause of a step', cause)
  if (start?.parent) checkText('The run id of a parent', start.parent.runId)
}

function received(payload: EnqueuePayload, receipt: EnqueueReceipt): void {
  const { queue, name } = payload.job
  payload.result = { ...receipt, queue, name }
}

function answer(kernel: Kernel, { result, veto, job }: EnqueuePayload): EnqueuedJob {
  if (result) return kernel.hasPort('handles') ? kernel.port('handles')(result) : (result as EnqueuedJob)
  const reason = veto ?? 'a plugin did not call next() and gave no reason'
  throw new QueueError('ENQUEUE_VETOED', `Job "${job.name}" was refused: ${reason}.`, { details: { reason } })
}
