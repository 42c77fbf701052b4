import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'

/**
 * Returns the JSON Schema of what a Standard Schema takes, for forms and documents. Returns `undefined` if the library cannot generate JSON
 * Schemas, or if the schema has no such form.
 */
export function inputSchemaOf(schema: StandardSchemaV1): Record<string, unknown> | undefined {
  const { jsonSchema } = schema['~standard'] as Partial<StandardJSONSchemaV1['~standard']>
  if (!jsonSchema) return undefined
  try {
    return jsonSchema.input({ target: 'draft-2020-12' })
  } catch {
    return undefined
  }
}
