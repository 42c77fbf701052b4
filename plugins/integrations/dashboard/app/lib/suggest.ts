import type { FilterDefinition } from '../composables/use-filters.ts'

export interface Suggestion {
  key: string
  /** Absent if the key is chosen first. */
  value?: string
  text: string
  hint: string
}

/** How many values are shown. */
const MAX_SUGGESTIONS = 12

/** Returns the suggestions for a text in a filter bar: keys, the values of a key, or the text as the value of a key. */
export function suggest(text: string, definitions: readonly FilterDefinition[]): Suggestion[] {
  const given = text.trimStart()
  const colon = given.indexOf(':')
  if (colon > 0) return ofKey(given.slice(0, colon).trim(), given.slice(colon + 1).trim(), definitions)
  const words = given.trim().toLowerCase()
  const keys = definitions
    .filter(({ key, label }) => key.toLowerCase().includes(words) || label.toLowerCase().includes(words))
    .map(({ key, label, placeholder = '' }) => ({
      key,
      text: key.endsWith('.') ? key : `${key}:`,
      hint: placeholder || label,
    }))
  if (words === '') return keys
  const values = definitions.flatMap((definition) => valuesOf(definition, words).slice(0, 4))
  const texts = definitions
    .filter(({ key, values: known }) => !known && !key.endsWith('.'))
    .map(({ key, label }) => ({ key, value: given.trim(), text: `${key}: ${given.trim()}`, hint: label }))
  return [...values, ...keys, ...texts]
}

function ofKey(key: string, value: string, definitions: readonly FilterDefinition[]): Suggestion[] {
  const definition = definitions.find((one) => one.key.toLowerCase() === key.toLowerCase())
  if (definition?.values) return valuesOf(definition, value.toLowerCase())
  const free =
    definition?.key ?? (key.startsWith('data.') && definitions.some((one) => one.key === 'data.') ? key : undefined)
  if (free === undefined || value === '') return []
  return [{ key: free, value, text: `${free}: ${value}`, hint: definition?.label ?? 'Field of the data' }]
}

function valuesOf({ key, label, values }: FilterDefinition, words: string): Suggestion[] {
  const known = values?.() ?? []
  const found = known.filter((value) => value.toLowerCase().includes(words)).slice(0, MAX_SUGGESTIONS)
  return found.map((value) => ({ key, value, text: `${key}: ${value}`, hint: label }))
}
