import { QueueError, type Kernel, type RunInfo } from '../../../kernel/index.ts'
import type { Results } from './protocol.ts'
import type { Method, Params } from './requests.ts'

export type Answers = { [M in Method]: (params: Params<M>) => Promise<Results[M]> }

/** Handles each request with a kernel. */
export function createAnswers(kernel: Kernel, cwd: string): Answers {
  const store = kernel.port('events')

  async function findRun(runId: string): Promise<RunInfo> {
    const run = await store.runs.get(runId)
    if (run) return run
    const hint = 'It may not have begun, or it may have expired. List runs with: npx nuxt-queue runs'
    throw new QueueError('RUN_NOT_FOUND', `There is no run "${runId}". ${hint}`)
  }

  return {
    hello: async () => ({ pid: process.pid, cwd }),
    enqueue: ({ worker, data, id, delay }) =>
      kernel.enqueue(worker, data, { ...(id !== undefined && { id }), ...(delay !== undefined && { delay }) }),
    async result(job) {
      const { flow } = (await kernel.port('queue').getJob(job.queue, job.id)) ?? {}
      return flow ? kernel.flow(flow.name).result(job.runId) : kernel.result(job)
    },
    runs: async (filter) => store.runs.list({ ...filter, hideInternal: true }),
    async run({ runId }) {
      const run = await findRun(runId)
      return { run, events: await store.read(runId) }
    },
    explain: ({ id, queue }) => kernel.explain(queue === undefined ? id : { queue, id }),
    redrive: ({ queue, limit }) => kernel.redrive(queue, { limit }),
    async state({ runId, at }) {
      await findRun(runId)
      return kernel.state(runId, { at })
    },
  }
}
