import { isHeaders } from '../../kernel/index.ts'

/** The headers that name a trace. */
const TRACE = ['traceparent', 'tracestate']
/** Also those with the values that an application sends along. Only callers who have proved who they are may choose these. */
const TRUSTED = [...TRACE, 'baggage']

/**
 * Returns the context of the trace of a request, as headers of a job. Returns no headers if they are too long.
 *
 * @param trusted true for a caller who has proved who it is
 */
export function traceHeadersOf(
  { headers }: Pick<Request, 'headers'>,
  { trusted = false }: { trusted?: boolean } = {},
): Readonly<Record<string, string>> | undefined {
  const found = (trusted ? TRUSTED : TRACE).flatMap((name) => {
    const text = headers.get(name)
    return text === null ? [] : [[name, text] as const]
  })
  const context = Object.fromEntries(found)
  return found.length > 0 && isHeaders(context) ? context : undefined
}
