/** The part of JSON Schema that forms understand. Everything else is edited as JSON. */
export interface JsonSchema {
  type?: string | readonly string[]
  title?: string
  description?: string
  default?: unknown
  enum?: readonly unknown[]
  const?: unknown
  format?: string
  properties?: Readonly<Record<string, JsonSchema>>
  required?: readonly string[]
  minimum?: number
  maximum?: number
}

export type FieldKind = 'text' | 'number' | 'flag' | 'choice' | 'group' | 'json'

/** Returns how a value of a schema is edited. */
export function kindOf(schema: JsonSchema): FieldKind {
  if (schema.enum) return 'choice'
  if (schema.type === 'string') return 'text'
  if (schema.type === 'number' || schema.type === 'integer') return 'number'
  if (schema.type === 'boolean') return 'flag'
  return schema.type === 'object' && schema.properties ? 'group' : 'json'
}

/** Returns an initial value: the defaults, and empty values for required members. */
export function exampleOf(schema: JsonSchema): unknown {
  if (schema.default !== undefined) return structuredClone(schema.default)
  if (schema.const !== undefined) return schema.const
  const kind = kindOf(schema)
  if (kind === 'choice') return schema.enum![0]
  if (kind === 'text') return ''
  if (kind === 'number') return Math.max(0, schema.minimum ?? 0)
  if (kind === 'flag') return false
  if (kind === 'json') return schema.type === 'array' ? [] : null
  const required = Object.entries(schema.properties!).filter(
    ([name, one]) => schema.required?.includes(name) === true || one.default !== undefined,
  )
  return Object.fromEntries(required.map(([name, one]) => [name, exampleOf(one)]))
}
