import { z } from 'zod'
import { checkText, definePlugin, invalid, QueueError, type EnqueuePayload } from '../../../kernel/index.ts'
import { keyShape } from '../../lib/rate-limit.ts'
import { workerOption } from '../../lib/worker-option.ts'
import { isFairPriority, MAX_FAIR_PRIORITY, MAX_WEIGHT, MIN_WEIGHT } from '../../lib/fair-options.ts'
import { fairKeyRule, fairWeightRule } from './options.ts'

export type { Fairness } from './options.ts'

const weights = z.record(z.string(), z.number().min(MIN_WEIGHT).max(MAX_WEIGHT))

/**
 * Lets the keys of waiting jobs take turns. The plugin only determines the key and the weight of a job and stores them with it. The adapter
 * orders the jobs.
 */
export default definePlugin({
  name: 'fairness',
  requires: ['queue', 'job-options'],
  workerOptions: {
    fairKey: workerOption('fairKey', keyShape),
    fairness: workerOption('fairness', z.strictObject({ weights: weights.optional() })),
  },
  setup(kernel) {
    function assertSupported(): void {
      if (kernel.port('queue').capabilities.fairness) return
      const hint = 'Remove the option, or use another adapter.'
      throw new QueueError('OPTION_UNSUPPORTED', `This queue adapter does not support "fairKey". ${hint}`)
    }

    /** @throws QueueError `OPTION_INVALID` for a priority among which keys cannot take turns */
    function assertOrderable({ job, worker, options }: EnqueuePayload): void {
      const { name, priority } = job
      if ((options.ageing ?? worker?.worker.ageing ?? kernel.config.jobs.ageing) !== undefined) {
        const message = `Job "${name}" cannot have "fairKey" together with "ageing", which gives each job its own priority.`
        throw new QueueError('OPTION_INVALID', `${message} Remove one of them.`, { details: { option: 'fairKey' } })
      }
      if (isFairPriority(priority)) return
      const range = `a whole number from ${-MAX_FAIR_PRIORITY} to ${MAX_FAIR_PRIORITY} if the job has a "fairKey"`
      throw invalid(`Option "priority" of job "${name}"`, range, priority)
    }

    kernel.declareJobOption('fairKey', fairKeyRule)
    kernel.declareJobOption('fairWeight', fairWeightRule)
    kernel.defineWorkerOption('fairKey', assertSupported)
    kernel.hook(
      'enqueue',
      (payload, next) => {
        assertSupported()
        const { job } = payload
        const { fairKey, fairWeight } = keyOf(payload)
        job.options = { ...job.options, fairKey, ...(fairWeight !== undefined && { fairWeight }) }
        assertOrderable(payload)
        return next()
      },
      { when: ({ job, worker }) => job.options.fairKey !== undefined || worker?.worker.fairKey !== undefined },
    )
  },
})

/** @throws QueueError `OPTION_INVALID` for a key that is not a text */
function keyOf({ job, worker }: EnqueuePayload): { fairKey: string; fairWeight: number | undefined } {
  const { name, data, options } = job
  const { fairKey: key, fairness } = worker?.worker ?? {}
  const made: unknown = options.fairKey ?? (typeof key === 'function' ? key(data as never) : key)
  const fairKey = checkText(`The "fairKey" of job "${name}"`, made)
  const own = fairness?.weights && Object.hasOwn(fairness.weights, fairKey) ? fairness.weights[fairKey] : undefined
  return { fairKey, fairWeight: options.fairWeight ?? own }
}
