import { definePlugin, isReserved, QueueError } from '../../../kernel/index.ts'
import { packageVersion } from '../../lib/package-version.ts'
import { SCHEMA_URL } from './attributes.ts'
import { createInstruments } from './instruments.ts'
import { traceLogs } from './logs.ts'
import { traceProcessing } from './process.ts'
import { traceSending } from './send.ts'
import { options, type Tracing } from './tracing.ts'

/**
 * Traces jobs with OpenTelemetry, by its conventions for messaging. The context of a trace travels in the headers of a job. The
 * application sets up the SDK; without one, nothing is recorded.
 */
export default definePlugin({
  name: 'otel',
  // Outermost, so that spans include what other plugins do, and their calls belong to the trace.
  enforce: 'pre',
  options,
  async setup(kernel, options) {
    const api = await load()
    const version = packageVersion()
    const tracer = api.trace.getTracerProvider().getTracer('nuxt-queue', version, { schemaUrl: SCHEMA_URL })
    const isTraced: Tracing['isTraced'] = ({ queue }) => options.internal || !isReserved('queue', queue)
    const tracing: Tracing = { api, tracer, options, isTraced }
    const meter = api.metrics.getMeter('nuxt-queue', version, { schemaUrl: SCHEMA_URL })
    const instruments = options.metrics ? createInstruments(meter) : undefined
    traceSending(kernel, tracing, instruments)
    const contextOf = traceProcessing(kernel, tracing, instruments)
    traceLogs(kernel, tracing, contextOf)
  },
})

async function load(): Promise<Tracing['api']> {
  try {
    return await import('@opentelemetry/api')
  } catch (cause) {
    const message = 'The plugin "otel" needs the package @opentelemetry/api. Install it: npm install @opentelemetry/api'
    throw new QueueError('PACKAGE_MISSING', message, { cause, plugin: 'otel' })
  }
}
