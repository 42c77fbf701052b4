import type {
  Chains,
  Enqueue,
  EnqueuedJob,
  EnqueueOptions,
  EnqueuePayload,
  EnqueueReceipt,
  JobTarget,
  Kernel,
  MaybePromise,
} from '../contracts/index.ts'
import { QueueError } from './errors.ts'
import { isPromise } from './hooks.ts'

export function createEnqueue(kernel: Kernel, chains: Chains, assertOpen: () => void): Enqueue {
  function lookUp(target: JobTarget) {
    if (typeof target !== 'string') return { ...target, worker: kernel.registry.find(target.queue, target.name) }
    const worker = kernel.registry.get(target)
    if (worker) return { queue: worker.queue.name, name: worker.name, worker }
    const known = kernel.registry.workers.map(({ id }) => id).join(', ') || 'none'
    const hint = 'To reach a worker that only other instances know, pass { queue, name }.'
    throw new QueueError('WORKER_UNKNOWN', `There is no worker "${target}". Known: ${known}. ${hint}`)
  }

  function prepare(target: JobTarget, data: unknown, options: EnqueueOptions = {}): EnqueuePayload {
    assertOpen()
    const { queue, name, worker } = lookUp(target)
    const { id = kernel.newId(), priority = 0, delay = 0, flow } = options
    const runId = options.runId ?? (options.id === undefined ? id : kernel.newId())
    const createdAt = kernel.clock.now()
    const runAt = typeof delay === 'number' ? createdAt + delay : delay.getTime()
    const job = { id, queue, name, data, runId, options, priority, createdAt, runAt, flow }
    return { worker, options, job, result: undefined, veto: undefined }
  }

  const store = (payload: EnqueuePayload): MaybePromise<void> => {
    const receipt = kernel.port('queue').enqueue(payload.job)
    if (!isPromise(receipt)) return received(payload, receipt)
    return receipt.then((settled) => received(payload, settled))
  }

  return {
    async enqueue(target, data, options) {
      const payload = prepare(target, data, options)
      const passed = chains.enqueue(payload, store)
      if (isPromise(passed)) await passed
      return answer(payload)
    },
    /** Each job passes the chain up to its innermost end and waits there; those that arrive are stored at once. */
    async enqueueMany(jobs) {
      const arrived: EnqueuePayload[] = []
      const stored = Promise.withResolvers<void>()
      stored.promise.catch(() => {})
      const settled = Promise.withResolvers<void>()
      let undecided = jobs.length
      const decide = (): void => void (--undecided === 0 && settled.resolve())
      const passing = jobs.map(async ({ worker, data, options }) => {
        const payload = prepare(worker, data, options)
        let waits = false
        await chains.enqueue(payload, () => {
          waits = true
          arrived.push(payload)
          decide()
          return stored.promise
        })
        const answered = answer(payload)
        if (!waits) decide()
        return answered
      })
      const all = Promise.all(passing)
      if (jobs.length > 0) await Promise.race([settled.promise, all]).catch(stored.reject)
      try {
        const receipts = await kernel.port('queue').enqueueMany(undecided === 0 ? arrived.map(({ job }) => job) : [])
        receipts.forEach((receipt, index) => received(arrived[index]!, receipt))
        stored.resolve()
      } catch (error) {
        stored.reject(error)
      }
      return all
    },
  }
}

function received(payload: EnqueuePayload, receipt: EnqueueReceipt): void {
  const { queue, name } = payload.job
  payload.result = { ...receipt, queue, name }
}

function answer({ result, veto, job }: EnqueuePayload): EnqueuedJob {
  if (result) return result
  const reason = veto ?? 'a plugin did not call next() and gave no reason'
  throw new QueueError('ENQUEUE_VETOED', `Job "${job.name}" was refused: ${reason}.`, { details: { reason } })
}
