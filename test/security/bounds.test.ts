import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { routes } from '../../plugins/integrations/http/routes/index.ts'
import { createTestKernel } from '../../testing/index.ts'

/** Values of the application. `http.maxBody` and `payloadLimit` bound them, and nothing looks into them. */
const PAYLOADS = [
  ...['startFlow.input', 'enqueueJob.data', 'forkRun.input', 'forkRun.state{}', 'rerunFrom.input', 'rerunFrom.state{}'],
  ...[
    'sendEvent.payload',
    'fireTrigger.payload',
    'resolveWait.payload',
    'retryJob.data',
    'duplicateJob.data',
    'completeWait.payload',
    'saveSchedule.data',
    ...['queryRun.input', 'updateRun.input', 'signalRun.payload'],
  ],
]
/** Objects with members of the application. `assertOptions` refuses members that are not defined, and its check bounds the others. */
const OPEN = ['enqueueJob.options']

const LONG = 100_000
const MANY = 20_000
/** Objects with too many members, or with one whose name is too long. Some routes take only names with this prefix. */
const MANY_MEMBERS = ['', 'data.'].flatMap((prefix) => [
  Object.fromEntries(Array.from({ length: MANY }, (_, index) => [`${prefix}key${index}`, 'a'])),
  { [prefix + 'x'.repeat(LONG)]: 'a' },
])

interface Definition {
  type: string
  innerType?: z.ZodType
  in?: z.ZodType
  element?: z.ZodType
  keyType?: z.ZodType
  valueType?: z.ZodType
  options?: readonly z.ZodType[]
  shape?: Readonly<Record<string, z.ZodType>>
  catchall?: z.ZodType
}

const definition = (schema: z.ZodType): Definition => schema._zod.def
const accepts = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success

/** Returns the schema without the wrappers that make a value optional. */
function bare(schema: z.ZodType): z.ZodType {
  const { type, innerType } = definition(schema)
  return innerType && /^(?:optional|nullable|default|prefault|readonly|nonoptional)$/.test(type)
    ? bare(innerType)
    : schema
}

/** The kind of the values that come in. */
function kindOf(schema: z.ZodType): string {
  const { type, in: first } = definition(schema)
  return type === 'pipe' ? kindOf(bare(first!)) : type
}

/** A value to fill a list with. */
function entryOf(schema: z.ZodType): unknown {
  return ['a', 1, true, {}, 'failed', 'data', null].find((one) => accepts(schema, one)) ?? 'nothing that the list takes'
}

/** Returns the paths at which a schema accepts a value without a bound, each with that value. */
function unbounded(at: string, given: z.ZodType): string[] {
  const schema = bare(given)
  const { element, keyType, valueType, options, shape, catchall } = definition(schema)
  const taken = (what: string, ...values: unknown[]): string[] =>
    values.some((value) => accepts(schema, value)) ? [`${at}: ${what}`] : []
  const others = (schema: z.ZodType): string[] => {
    const { type } = definition(schema)
    if (type === 'never') return []
    if (type === 'unknown') return [`${at}: members without a schema`]
    return [...taken('many members', ...MANY_MEMBERS), ...unbounded(`${at}.*`, schema)]
  }
  switch (kindOf(schema)) {
    case 'string':
      return taken(
        'a long text',
        'x'.repeat(LONG),
        '1'.repeat(LONG),
        'a,'.repeat(LONG),
        `2026-01-31${' '.repeat(LONG)}`,
      )
    case 'number':
      return taken('a huge number', 1e300, -1e300, Infinity, -Infinity, NaN, '1e300', '-1e300')
    case 'array':
      expect(accepts(element!, entryOf(element!)), `${at}: this test needs an entry for the list`).toBe(true)
      return [
        ...taken(
          'a long list',
          Array.from({ length: MANY }, () => entryOf(element!)),
        ),
        ...unbounded(`${at}[]`, element!),
      ]
    case 'record':
      return [
        ...taken('many members', ...MANY_MEMBERS),
        ...unbounded(`${at} key`, keyType!),
        ...unbounded(`${at}{}`, valueType!),
      ]
    case 'object': {
      const members = Object.entries(shape!).flatMap(([name, member]) =>
        unbounded(at === '' ? name : `${at}.${name}`, member),
      )
      return [...members, ...(catchall ? others(catchall) : [])]
    }
    case 'union':
      return options!.flatMap((option) => unbounded(at, option))
    case 'enum':
    case 'literal':
    case 'boolean':
      return []
    default:
      return [`${at}: ${kindOf(schema)}`]
  }
}

/** Returns the findings that are not declared above. Each declaration must be needed. */
const found = routes.flatMap(({ id, query, body }) =>
  [query, body].flatMap((schema) => (schema ? unbounded(id, schema) : [])),
)

describe('the input of routes', () => {
  it('has a bound: every text, number, list and map of every query and body', () => {
    const declared = [...PAYLOADS.map((at) => `${at}: unknown`), ...OPEN.map((at) => `${at}: members without a schema`)]
    expect(found.toSorted()).toEqual(declared.toSorted())
  })

  it('has a bound in every path, and is rejected before the handler runs', async () => {
    await using test = await createTestKernel()
    for (const { method, path } of routes) {
      for (const [, name] of path.matchAll(/:(\w+)/g)) {
        for (const hostile of ['x'.repeat(2000), 'é'.repeat(700), '%00', '%ff', '%ED%A0%80']) {
          const filled = path.replace(`:${name}`, encodeURI(hostile).replaceAll('%25', '%')).replaceAll(/:\w+/g, 'x')
          const headers = { 'content-type': 'application/json' }
          const request = new Request(`http://localhost/_queue/api/${filled}`, { method, headers })
          const { status } = await test.kernel.http.fetch(request, { trusted: true })
          expect({ method, path, hostile: hostile.slice(0, 20), status }).toMatchObject({ status: 400 })
        }
      }
    }
    expect(test.reports).toEqual([])
  })
})
