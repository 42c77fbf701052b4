import { momentOf } from './moments.ts'

/** Returns the filter of an address as the body of a request: states as a list, and fields of the data as a map. */
export function bodyOfFilter(filters: Readonly<Record<string, string>>): Record<string, unknown> {
  const entries = Object.entries(filters)
  const { state, createdAfter, createdBefore, ...others } = Object.fromEntries(
    entries.filter(([key]) => !key.startsWith('data.')),
  )
  const data = entries.filter(([key]) => key.startsWith('data.')).map(([key, value]) => [key.slice(5), value])
  const [after, before] = [momentOf(createdAfter), momentOf(createdBefore)]
  return {
    ...others,
    ...(state !== undefined && { states: state.split(',') }),
    ...(after !== undefined && { createdAfter: after }),
    ...(before !== undefined && { createdBefore: before }),
    ...(data.length > 0 && { data: Object.fromEntries(data) }),
  }
}

/** Returns a filter in words: `queue mail, state failed`. */
export function textOfFilter(filter: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(filter).map(([key, value]) => {
    const name = key === 'states' ? 'state' : key
    if (key.startsWith('created') && typeof value === 'number') return `${name} ${new Date(value).toLocaleString()}`
    if (Array.isArray(value)) return `${name} ${value.join(' or ')}`
    return `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`
  })
  return parts.join(', ')
}
