import { z } from 'zod'
import { EXPECTED, isText, QueueError, type WorkerOptionCheck } from '../../../kernel/index.ts'
import { workerOption } from '../../lib/worker-option.ts'

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => isText(one))

const text = z.custom((value) => isText(value), `is ${EXPECTED.text}`)
const texts = z.custom(isTexts, 'is a list of texts')
const oneOrMany = z.custom((value) => isText(value) || isTexts(value), 'is a text, or a list of texts')

const place = z.strictObject({
  name: oneOrMany,
  role: z.enum(['entry', 'step', 'compensation']),
  step: text.optional(),
  subscribes: oneOrMany.optional(),
  emits: texts.optional(),
  join: z
    .custom((value) => typeof value === 'number' || value === 'all' || value === 'any', 'is "all", "any" or a number')
    .optional(),
  losers: z.enum(['finish', 'cancel']).optional(),
  gather: text.optional(),
  limit: z.number().optional(),
  onError: z.enum(['fail', 'continue', 'compensate']).optional(),
  compensates: text.optional(),
  version: text.optional(),
  pin: z.boolean().optional(),
})
const checkPlaces = workerOption('flow', place, { list: true })

/** Options that drop or merge jobs. In a flow, they would leave gaps in a run. */
const EXCLUDED = ['debounce', 'throttle', 'unique'] as const

/** Checks the `flow` option of one worker. The graph checks that the options of several workers fit together. */
export const checkFlowOption: WorkerOptionCheck = (value, worker) => {
  const { id, worker: config } = worker
  const other = EXCLUDED.find((key) => config[key] !== undefined)
  if (other === undefined) return checkPlaces(value, worker)
  const hint = `Remove one of them, or put "${other}" on a worker that starts the flow.`
  throw new QueueError('OPTION_INVALID', `Worker "${id}" has "flow" and "${other}". ${hint}`, {
    details: { option: other },
  })
}
