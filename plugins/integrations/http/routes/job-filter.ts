import { z } from 'zod'
import { isText, MAX_COMPOSED_BYTES, type JobFilter } from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { bodyMoment, instant, name, reference, words } from './values.ts'

/** The prefix of a parameter that compares a value in the data: `data.customer.id=7`. */
const DATA = 'data.'
const MAX_PATHS = 10

/** The parameters of every route that takes a filter of jobs. */
const filter = {
  id: reference.optional(),
  queue: reference.optional(),
  name: reference.optional(),
  runId: reference.optional(),
  tag: name.optional(),
  state: words(answers.state.options).optional(),
  /** Text in the name or the message of the error. */
  error: name.optional(),
  /** Milliseconds since the epoch, or an ISO date. */
  createdAfter: instant.optional(),
  createdBefore: instant.optional(),
}

/** Returns the query of a route that takes a filter of jobs, with `data.<path>` for values in the data. */
export function filterQuery<const More extends z.ZodRawShape>(more: More) {
  const query = z.object({ ...filter, ...more }).catchall(name)
  return query.superRefine((given, context) => {
    const others = Object.keys(given).filter((key) => !Object.hasOwn(query.shape, key))
    const unknown = others.filter((key) => !key.startsWith(DATA) || !isText(key.slice(DATA.length)))
    if (unknown.length > 0) context.addIssue({ code: 'unrecognized_keys', keys: unknown, input: given })
    if (others.length > MAX_PATHS) context.addIssue({ code: 'custom', message: `At most ${MAX_PATHS} paths of data` })
  })
}

type FilterQuery = z.output<z.ZodObject<typeof filter>>

/** Returns the filter of a query. */
export function filterOf(query: FilterQuery): JobFilter {
  const { state: states, ...given } = query
  const data = Object.entries(query).filter(([key]) => key.startsWith(DATA))
  return {
    ...Object.fromEntries(Object.entries(given).filter(([key]) => Object.hasOwn(filter, key))),
    ...(states && { states }),
    ...(data.length > 0 && { data: Object.fromEntries(data.map(([key, value]) => [key.slice(DATA.length), value])) }),
  } as JobFilter
}

const scalar = z.union([
  z.string().max(MAX_COMPOSED_BYTES),
  z.number().min(-1e15).max(1e15),
  z.boolean(),
  z.literal(null),
])

/** A filter of jobs in a body. It has the members of `JobFilter`; moments may also be ISO dates. */
export const filterBody = z.strictObject({
  id: reference.optional(),
  queue: reference.optional(),
  name: reference.optional(),
  runId: reference.optional(),
  tag: name.optional(),
  states: z.array(answers.state).max(answers.state.options.length).optional(),
  error: name.optional(),
  createdAfter: bodyMoment.optional(),
  createdBefore: bodyMoment.optional(),
  /** Values in the data by their paths: `{ "customer.id": 7 }`. */
  data: z
    .record(name, scalar)
    .refine((given) => Object.keys(given).length <= MAX_PATHS, `At most ${MAX_PATHS} paths of data`)
    .optional(),
})

/** Returns the filter of a body. */
export function filterOfBody({ createdAfter, createdBefore, ...filter }: z.output<typeof filterBody>): JobFilter {
  return {
    ...filter,
    ...(createdAfter !== undefined && { createdAfter: Number(createdAfter) }),
    ...(createdBefore !== undefined && { createdBefore: Number(createdBefore) }),
  }
}
