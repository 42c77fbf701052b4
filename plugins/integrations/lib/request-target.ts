/** Methods that a web-standard request cannot have. A request of Node may have them. */
export const UNSUPPORTED_METHOD = /^(?:connect|trace|track)$/i

/** Parses the URL of a request. Returns `undefined` if a web-standard request cannot have it, for example with a password. */
export function parseTarget(url: string, base?: string): URL | undefined {
  const target = URL.parse(url, base)
  return target && target.username === '' && target.password === '' ? target : undefined
}
