type Api = typeof import('@opentelemetry/api')

let loading: Promise<Api | undefined> | undefined

/**
 * Returns a function that calls a handler in the trace that headers name. Without such headers, or without OpenTelemetry in this process,
 * the handler is called without a trace.
 */
export async function traceOf(headers: Readonly<Record<string, string>> = {}): Promise<<T>(run: () => T) => T> {
  if (headers.traceparent === undefined) return (run) => run()
  const api = await (loading ??= import('@opentelemetry/api').catch(() => undefined))
  if (!api) return (run) => run()
  const context = api.propagation.extract(api.ROOT_CONTEXT, { ...headers })
  return (run) => api.context.with(context, run)
}
