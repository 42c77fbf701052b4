import { definePlugin, isReserved } from '../../../kernel/index.ts'
import { loadPackage } from '../../lib/optional-package.ts'
import { packageVersion } from '../../lib/package-version.ts'
import { watchAppends, watchRuns, watchScheduleLag } from '../lib/measure.ts'
import { SCHEMA_URL } from './attributes.ts'
import { createInstruments } from './instruments.ts'
import { observeProcess } from './process-gauges.ts'
import { observeStore } from './store-gauges.ts'
import { traceLogs } from './logs.ts'
import { traceProcessing } from './process.ts'
import { traceSending } from './send.ts'
import { traceSettling } from './settle.ts'
import { tracingOptions, type Tracing } from './tracing.ts'

/**
 * Traces jobs with OpenTelemetry and its conventions for messaging. The context of a trace travels in the headers of a job. The application
 * sets up the SDK; without an SDK, nothing is recorded.
 */
export default definePlugin({
  name: 'otel',
  // Outermost, so that spans include the work of other plugins, and their calls belong to the trace.
  enforce: 'pre',
  options: tracingOptions,
  async setup(kernel, options) {
    const api = await loadPackage(() => import('@opentelemetry/api'), 'The plugin "otel"', '@opentelemetry/api')
    const version = packageVersion()
    const tracer = api.trace.getTracerProvider().getTracer('nuxt-queue', version, { schemaUrl: SCHEMA_URL })
    const isShown = (queue: string): boolean => options.internal || !isReserved('queue', queue)
    const isTraced: Tracing['isTraced'] = ({ queue }) => isShown(queue)
    const tracing: Tracing = { api, tracer, options, isTraced }
    const meter = api.metrics.getMeter('nuxt-queue', version, { schemaUrl: SCHEMA_URL })
    const instruments = options.metrics ? createInstruments(meter) : undefined
    traceSending(kernel, tracing, instruments)
    const busy = new Map<string, number>()
    const contextOf = traceProcessing(kernel, tracing, instruments, busy)
    traceLogs(kernel, tracing, contextOf)
    if (options.settle) traceSettling(kernel, tracing, contextOf)
    if (!instruments) return undefined
    watchRuns(kernel, isShown, ({ flow, status, duration }) => {
      const kind = { 'nuxt_queue.run.status': status, ...(flow !== undefined && { 'nuxt_queue.flow': flow }) }
      instruments.ended(kind, duration / 1000)
    })
    watchAppends(kernel, (ms) => instruments.appended(ms / 1000))
    watchScheduleLag(kernel, (ms) => instruments.late(ms / 1000))
    const stops = [observeStore(kernel, meter, isShown), observeProcess(kernel, meter, isShown, busy)]
    return () => stops.forEach((stop) => stop())
  },
})
