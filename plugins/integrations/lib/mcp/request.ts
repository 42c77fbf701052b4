import { QueueError } from '../../../../kernel/index.ts'

/** The arguments that an agent passes to a tool. */
export type Arguments = Readonly<Record<string, unknown>>

/** A request to the API. */
export interface ApiRequest {
  method: string
  /** The path and query below `<path>api/`. */
  path: string
  /** JSON. Absent for a request without a body. */
  body?: string
}

/** The place of an argument in a request. With `members`, each member of the argument is a parameter of the query. */
export type ArgumentPlace = 'path' | 'query' | 'members'

interface Template {
  method: string
  /** A path such as `jobs/{queue}/{job}`. */
  path: string
  /** The places of the arguments. All others are members of the body, or parameters of the query if there is no body. */
  places: ReadonlyMap<string, ArgumentPlace>
  hasBody: boolean
}

/** What a tool declares about its arguments. */
interface Declaration {
  name: string
  properties: Readonly<Record<string, unknown>>
  required: readonly string[]
  /** Whether the API takes further parameters, and checks them. */
  isOpen: boolean
}

/**
 * The API cannot name what is missing in a path, and routes without a query ignore what follows theirs.
 *
 * @throws QueueError `REQUEST_INVALID`
 */
export function checkArguments({ name, properties, required, isOpen }: Declaration, given: Arguments): void {
  const unknown = isOpen ? undefined : Object.keys(given).find((key) => !Object.hasOwn(properties, key))
  const missing = required.find((key) => given[key] === undefined || given[key] === null)
  if (unknown === undefined && missing === undefined) return
  const known = Object.keys(properties).map((key) => (required.includes(key) ? `${key} (required)` : key))
  const wrong =
    unknown === undefined ? `${name}: "${missing}" is missing.` : `${name} has no argument ${JSON.stringify(unknown)}.`
  throw new QueueError('REQUEST_INVALID', `${wrong} Its arguments are: ${known.join(', ') || 'none'}.`)
}

/** Writes the arguments of a tool into a request. @throws QueueError `REQUEST_INVALID` */
export function createRequest({ method, path, places, hasBody }: Template, given: Arguments): ApiRequest {
  const query = new URLSearchParams()
  const body: [string, unknown][] = []
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue
    const place = places.get(name) ?? (hasBody ? 'body' : 'query')
    if (place === 'query') query.set(name, textOf(value))
    if (place === 'body') body.push([name, value])
    if (place === 'members') for (const [key, member] of Object.entries(value)) query.set(key, textOf(member))
  }
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => segmentOf(name, given[name]))
  const search = query.size > 0 ? `?${query.toString()}` : ''
  return {
    method,
    path: filled + search,
    ...(hasBody && { body: JSON.stringify(Object.fromEntries(body)) }),
  }
}

/** A segment of dots would lead to another path. @throws QueueError `REQUEST_INVALID` */
function segmentOf(name: string, value: unknown): string {
  const text = textOf(value)
  if (!/^\.{0,2}$/.test(text)) return encodeURIComponent(text)
  throw new QueueError('REQUEST_INVALID', `"${name}" must be a string other than "", "." and ".."; got "${text}".`)
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return Array.isArray(value) ? value.map(textOf).join(',') : JSON.stringify(value)
}
