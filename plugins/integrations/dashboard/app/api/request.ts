/** The address of the API, next to the folder of the pages. */
export const API = new URL('../api/', document.baseURI)

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** An error that the server described. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

const refusals = new Set<(error: ApiError) => void>()

/** Registers a callback for requests that need a sign-in. */
export function onUnauthorized(callback: (error: ApiError) => void): void {
  refusals.add(callback)
}

/** Joins encoded parts to a path: `path('jobs', queue, id)`. */
export function path(...parts: readonly string[]): string {
  return parts.map((part) => encodeURIComponent(part)).join('/')
}

export function addressOf(route: string, query: Query = {}): URL {
  const url = new URL(route, API)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value))
  }
  return url
}

/** @throws ApiError if the server refuses the request; `status` is 0 if it cannot be reached */
export async function request<T>(method: string, route: string | URL, init: RequestInit = {}): Promise<T> {
  let response: Response
  try {
    response = await fetch(typeof route === 'string' ? addressOf(route) : route, { method, ...init })
  } catch (error) {
    if (init.signal?.aborted === true) throw error
    throw new ApiError(0, 'UNREACHABLE', 'The server cannot be reached.')
  }
  const text = await response.text()
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T
  const problem = problemOf(response, text)
  if (problem.status === 401) for (const callback of refusals) callback(problem)
  throw problem
}

function problemOf({ status, statusText }: Response, text: string): ApiError {
  try {
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string }
    return new ApiError(status, code ?? 'HTTP', detail ?? statusText)
  } catch {
    return new ApiError(status, 'HTTP', text.slice(0, 300) || `The server responded with ${status} ${statusText}.`)
  }
}

export const get = <T>(route: string, query?: Query, signal?: AbortSignal): Promise<T> =>
  request<T>('GET', addressOf(route, query), { signal: signal ?? null })

export const post = <T>(route: string, body: unknown = {}): Promise<T> =>
  request<T>('POST', route, { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

export const remove = <T>(route: string): Promise<T> => request<T>('DELETE', route)
