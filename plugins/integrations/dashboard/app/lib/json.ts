/** Returns whether a value has entries. */
export function isBranch(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

export function entriesOf(value: unknown): [string, unknown][] {
  return isBranch(value) ? Object.entries(value) : []
}

/** Returns the beginning of a value in one line: `id, items, …`, or `12 entries` for a list. */
export function previewOf(value: unknown): string {
  if (Array.isArray(value)) return value.length === 1 ? '1 entry' : `${value.length} entries`
  const keys = entriesOf(value).map(([key]) => key)
  return keys.length > 4 ? `${keys.slice(0, 4).join(', ')}, …` : keys.join(', ')
}

/** Returns a value as JSON for people. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2) ?? 'undefined'
}
