import {
  toError,
  type JobDraft,
  type JobRecord,
  type Kernel,
  type MaybePromise,
  type Processor,
} from '../../../kernel/index.ts'
import type { QueueProvider, Reporter, Settlement, WorkerManager } from '../../../kernel/index.ts'
import { copyValue } from '../value.ts'
import { after, createLeaves, mapAll, type Leaf, type PayloadCodec, type Reader } from './codec.ts'
import { mapError } from './members.ts'
import { createDeliveryOrder } from './order.ts'

/** Milliseconds before a job returns whose end could not be encoded. */
const RETRY_DELAY = 1000

/** The members of a job that are payloads. */
type Payloads = Pick<JobRecord, 'data' | 'result' | 'error'>

function mapJob<T extends Partial<Payloads>>(job: T, leaf: Leaf): MaybePromise<T> {
  const { data, result, error } = job
  const plain = (value: unknown, kind: string): MaybePromise<unknown> =>
    value === undefined ? value : leaf(value, kind)
  const changed = mapAll(
    [() => plain(data, 'data'), () => plain(result, 'result'), () => error && mapError(error, 'error', leaf)],
    (one) => one(),
  )
  return after(changed, ([newData, newResult, newError]) => {
    if (newData === data && newResult === result && newError === error) return job
    const { ...copy } = job
    if (newData !== data) copy.data = newData
    if (newResult !== result) copy.result = newResult
    if (newError !== error) copy.error = newError as T['error']
    return copy
  })
}

/** The store may also have found the text in an encoded message. */
function hasError(text: string): (job: JobRecord) => boolean {
  const wanted = text.toLowerCase()
  return ({ error }) => error !== undefined && `${error.name}\n${error.message}`.toLowerCase().includes(wanted)
}

/** Returns a queue whose payloads a codec has encoded, and decodes again for everyone who reads. */
export function encodeJobs(queue: QueueProvider, codec: PayloadCodec, reporter: Reporter): QueueProvider {
  const leaves = createLeaves(codec)

  function encodeData(job: JobDraft): MaybePromise<JobDraft> {
    const { runId, id } = job
    if (job.data === undefined) return job
    // The copy keeps the value as it is while it is being encoded.
    const data = codec.active ? copyValue(job.data, Number.MAX_SAFE_INTEGER, `data of job "${job.name}"`) : job.data
    return after(leaves.encode({ runId, id, job })(data, 'data'), (changed) =>
      changed === data ? job : { ...job, data: changed },
    )
  }

  const decode = (job: JobRecord, reader: Reader): MaybePromise<JobRecord> => mapJob(job, leaves.decode(job, reader))

  return Object.assign(Object.create(queue) as QueueProvider, {
    // Their data cannot be compared while it is encoded.
    capabilities: codec.searchable ? queue.capabilities : { ...queue.capabilities, searchData: false },
    enqueue: (job, options) => after(encodeData(job), (encoded) => queue.enqueue(encoded, options)),
    enqueueMany: (jobs, options) => after(mapAll(jobs, encodeData), (encoded) => queue.enqueueMany(encoded, options)),
    getJob: (name, id) => after(queue.getJob(name, id), (job) => job && decode(job, 'read')),
    getJobs: (query) => after(queue.getJobs(query), (jobs) => mapAll(jobs, (job) => decode(job, 'read'))),
    ...(queue.findJobs && {
      findJobs: (search) =>
        after(queue.findJobs!(search), (found) =>
          after(
            mapAll(found.jobs, (job) => decode(job, 'read')),
            (jobs) => ({ ...found, jobs: search.error === undefined ? jobs : jobs.filter(hasError(search.error)) }),
          ),
        ),
    }),
    retry(name, id, options = {}) {
      if (options.data === undefined) return queue.retry(name, id, options)
      return after(queue.getJob(name, id), (job) =>
        job
          ? after(encodeData({ ...job, data: options.data }), ({ data }) => queue.retry(name, id, { ...options, data }))
          : queue.retry(name, id, options),
      )
    },
    on(name, event, listener) {
      const inOrder = createDeliveryOrder(reporter)
      return queue.on(name, event, (happened, of, job) => {
        if (!job) return listener(happened, of, job)
        return inOrder(decode(job, 'show'), (plain) => listener(happened, of, plain))
      })
    },
  } satisfies Partial<QueueProvider>)
}

/**
 * Returns workers that run jobs with decoded data, and whose settlements are encoded.
 *
 * @param refuse returns the settlement of a job that cannot be decoded. `run` runs it with other data
 */
export function encodeWorkers(
  workers: WorkerManager,
  codec: PayloadCodec,
  kernel: Pick<Kernel, 'clock' | 'reporter'>,
  refuse: (
    job: Readonly<JobRecord>,
    error: Error,
    run: (job: JobRecord) => Promise<Settlement>,
  ) => MaybePromise<Settlement>,
): WorkerManager {
  const leaves = createLeaves(codec)

  const wrap =
    (processor: Processor): Processor =>
    (job, lease) =>
      // The log checks the result of a job before its settlement has it.
      codec.active || isEncoded(job.data) ? runDecoded(processor, job, lease) : processor(job, lease)

  const isEncoded = (data: unknown): boolean => typeof data === 'string' && data.startsWith(codec.prefix)

  async function runDecoded(...[processor, job, lease]: [Processor, ...Parameters<Processor>]): Promise<Settlement> {
    const settle = async (plain: JobRecord): Promise<Settlement> => {
      const settlement = await processor(plain, lease)
      try {
        const { runId, id } = job
        return await mapJob(settlement as Settlement & Partial<Payloads>, leaves.encode({ runId, id, job }))
      } catch (error) {
        // The log has the end of the job, so the next claim only acknowledges it.
        kernel.reporter.error(`The end of job "${job.id}" could not be encoded.`, error)
        return { type: 'defer', runAt: kernel.clock.now() + RETRY_DELAY, crashed: true, slot: settlement.slot }
      }
    }
    let plain: JobRecord
    try {
      codec.claimed?.(job)
      plain = await mapJob(job, leaves.decode(job, 'run'))
    } catch (error) {
      return refuse(job, toError(error), settle)
    }
    return settle(plain)
  }

  return Object.assign(Object.create(workers) as WorkerManager, {
    registerWorker: (queue, name, processor, options) => workers.registerWorker(queue, name, wrap(processor), options),
  } satisfies Partial<WorkerManager>)
}
