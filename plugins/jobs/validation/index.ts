import {
  definePlugin,
  isPromise,
  type DispatchPayload,
  type EnqueuePayload,
  type MaybePromise,
  type Next,
  type RunContext,
} from '../../../kernel/index.ts'
import { beginAtCaller } from '../../lib/frames.ts'
import { parse } from '../../lib/parse.ts'
import { anySchema, workerOption } from '../../lib/worker-option.ts'

type Called = (...args: never[]) => unknown

/** Parses data. The stack of the error begins at the caller of `called`, because the frames of hooks would fill it. */
function parseFor(called: Called, ...given: Parameters<typeof parse>): ReturnType<typeof parse> {
  try {
    const data = parse(...given)
    return isPromise(data) ? refusedAtCaller(called, data) : data
  } catch (error) {
    if (error instanceof Error) beginAtCaller(error, called)
    throw error
  }
}

/** Keeps the frames of the caller, because the caller is no longer on the stack when an asynchronous schema rejects the data. */
function refusedAtCaller<T>(called: Called, parsing: Promise<T>): Promise<T> {
  const caller = new Error()
  beginAtCaller(caller, called)
  return parsing.catch((error: unknown) => {
    const frames = caller.stack?.replace(/^.*\n/, '')
    if (error instanceof Error) error.stack = `${error.name}: ${error.message}\n${frames ?? ''}`
    throw error
  })
}

/** Validates `input` when a job is enqueued, after every other plugin, and `output` when its handler returns. */
export default definePlugin({
  name: 'validation',
  enforce: 'post',
  workerOptions: { input: workerOption('input', anySchema), output: workerOption('output', anySchema) },
  setup(kernel) {
    function checkInput({ job, worker, batch }: EnqueuePayload, next: Next): MaybePromise<void> {
      const called = batch ? kernel.enqueueMany : kernel.enqueue
      const data = parseFor(called, worker!.worker.input!, job.data, `data of job "${job.name}"`)
      if (!isPromise(data)) {
        job.data = data
        return next()
      }
      return data.then((parsed) => {
        job.data = parsed
        return next()
      })
    }
    /** Validates data that comes from the log of the run. The log contains the data from before validation. */
    async function checkAgain({ job, worker }: RunContext, next: Next): Promise<void> {
      const data = await parse(worker.worker.input!, job.data, `data of job "${job.name}"`)
      Object.assign(job, { data })
      await next()
    }
    async function checkOutput(dispatch: DispatchPayload, next: Next): Promise<void> {
      await next()
      const { job, worker } = dispatch
      dispatch.result = await parse(worker.worker.output!, dispatch.result, `result of job "${job.name}"`)
    }
    kernel.hook('enqueue', checkInput, { when: ({ worker }) => worker?.worker.input !== undefined })
    kernel.hook('context', checkAgain, {
      when: ({ job, worker }) => job.flow?.dataInLog === true && worker.worker.input !== undefined,
    })
    kernel.hook('dispatch', checkOutput, { when: ({ worker }) => worker.worker.output !== undefined })
  },
})
