import type { Chains, Enqueue, EnqueuedJob, EnqueueOptions, EnqueuePayload } from '../contracts/index.ts'
import type { EnqueueReceipt, JobArguments, JobTarget, Kernel, MaybePromise } from '../contracts/index.ts'
import { QueueError } from './errors.ts'
import { after } from './hooks.ts'

export function createEnqueue(kernel: Kernel, chains: Chains, assertOpen: () => void): Enqueue {
  function lookUp(target: JobTarget) {
    if (typeof target !== 'string') return { ...target, worker: kernel.registry.find(target.queue, target.name) }
    const worker = kernel.registry.get(target)
    if (worker) return { queue: worker.queue.name, name: worker.name, worker }
    const ids = kernel.registry.workers.map(({ id }) => id).filter((id) => !id.startsWith('_'))
    const message = `There is no worker "${target}". Known: ${ids.join(', ') || 'none'}. For others, pass { queue, name }.`
    throw new QueueError('WORKER_UNKNOWN', message)
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

  const store = (payload: EnqueuePayload): MaybePromise<void> =>
    after(kernel.port('queue').enqueue(payload.job, payload.options), (receipt) => received(payload, receipt))

  return {
    async enqueue<T extends JobTarget>(target: T, ...[data, options]: JobArguments<T>) {
      const payload = prepare(target, data, options)
      return after(chains.enqueue(payload, store), () => answer(payload))
    },
    /** Each job passes its chain; those that arrive at its innermost end are then stored at once. */
    async enqueueMany(items) {
      const payloads = items.map(({ worker, data, options }) => prepare(worker, data, options))
      const arrived: EnqueuePayload[] = []
      const arrive = (payload: EnqueuePayload): void => {
        arrived.push(payload)
        received(payload, { id: payload.job.id, runId: payload.job.runId, deduplicated: false })
      }
      await Promise.all(payloads.map(async (payload) => chains.enqueue(payload, arrive)))
      for (const payload of payloads) if (!payload.result) answer(payload)
      const [jobs, options] = [arrived.map(({ job }) => job), arrived.map((payload) => payload.options)]
      const receipts = await kernel.port('queue').enqueueMany(jobs, options)
      receipts.forEach((receipt, index) => received(arrived[index]!, receipt))
      return payloads.map(answer)
    },
  }
}

function received(payload: EnqueuePayload, receipt: EnqueueReceipt): void {
  const { queue, name } = payload.job
  payload.result = { ...receipt, queue, name }
}

function answer<Result>({ result, veto, job }: EnqueuePayload): EnqueuedJob<Result> {
  if (result) return result as EnqueuedJob<Result>
  const reason = veto ?? 'a plugin did not call next() and gave no reason'
  throw new QueueError('ENQUEUE_VETOED', `Job "${job.name}" was refused: ${reason}.`, { details: { reason } })
}
