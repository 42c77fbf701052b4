import { definePlugin, isPromise } from '../../kernel/index.ts'
import { parse } from '../_shared/parse.ts'

/** Checks `input` when a job is enqueued, after every other plugin, and `output` when its handler is done. */
export default definePlugin({
  name: 'validation',
  enforce: 'post',
  setup(kernel) {
    kernel.hook('enqueue', (payload, next) => {
      const { job, worker } = payload
      const schema = worker?.worker.input
      if (!schema) return next()
      const parsed = parse(schema, job.data, `data of job "${job.name}"`)
      if (isPromise(parsed)) {
        return parsed.then((data) => {
          job.data = data
          return next()
        })
      }
      job.data = parsed
      return next()
    })

    kernel.hook('dispatch', (dispatch, next) => {
      const schema = dispatch.worker.worker.output
      if (!schema) return next()
      return (async () => {
        await next()
        dispatch.result = await parse(schema, dispatch.result, `result of job "${dispatch.job.name}"`)
      })()
    })
  },
})
