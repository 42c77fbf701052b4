import { EventEmitter, once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { context, createContextKey, metrics, propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { join } from 'pathe'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { createKernel, type Kernel, type KernelConfig, type Preset } from '../../index.ts'
import otel from '../../plugins/observability/otel/index.ts'
import dev from '../../presets/dev.ts'
import devFile from '../../presets/dev-file.ts'
import embedded from '../../presets/embedded.ts'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { createTestKernel } from '../../testing/index.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'

/** Collects spans, and notifies waiters of new ones. */
class Exporter extends InMemorySpanExporter {
  readonly exported = new EventEmitter()

  override export(...[spans, done]: Parameters<InMemorySpanExporter['export']>): void {
    super.export(spans, done)
    this.exported.emit('more')
  }
}

/** Like the propagator of Sentry, writes nothing for a context that is not active. */
class ActivePropagator extends W3CTraceContextPropagator {
  override inject(...[injected, carrier, setter]: Parameters<W3CTraceContextPropagator['inject']>): void {
    if (injected === context.active()) super.inject(injected, carrier, setter)
  }
}

/** Like that of Sentry, activates a context that is derived from the given one. */
class DerivingManager extends AsyncLocalStorageContextManager {
  override with: AsyncLocalStorageContextManager['with'] = (given, run, self, ...args) =>
    super.with(given.setValue(DERIVED, true), run, self, ...args)
}
const DERIVED = createContextKey('derived')

const exporter = new Exporter()
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: measured })
context.setGlobalContextManager(new DerivingManager().enable())
propagation.setGlobalPropagator(new ActivePropagator())
trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))

const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-otel-'))
const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
afterAll(async () => {
  await Promise.all([redis.stop(), postgres.stop(), reader.shutdown()])
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(() => exporter.reset())

const schema = `otel_${process.pid}`
const PRESETS: [Preset, KernelConfig][] = [
  [dev, {}],
  [devFile, { file: { path: join(folder, 'file') } }],
  [embedded, { embedded: { path: join(folder, 'data') } }],
  [prodRedis, { redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } }],
  [prodPostgres, { postgres: { url: postgres.url, schema } }],
]

async function application(preset: Preset, config: KernelConfig = {}): Promise<Kernel> {
  const common = { registry: { dirs: [] }, setupTimeout: 120_000 }
  return createKernel({
    preset,
    plugins: [otel],
    config: { ...common, ...config },
    reporter: { warn() {}, error() {} },
  })
}

/** The part of opentelemetry-api that the SDK for Python uses. No registry that tests may ask has the package. */
const PYTHON_API = {
  '__init__.py': '',
  'propagate.py': 'def extract(carrier):\n    return dict(carrier)\n',
  'context.py': `from contextvars import ContextVar

current = ContextVar("current", default={})
attach, detach, get_current = current.set, current.reset, current.get
`,
}

const [TRACE, SPAN] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
/** Headers of a request that belongs to a trace. */
const REQUEST = { traceparent: `00-${TRACE}-${SPAN}-01`, baggage: 'role=admin' }

/** What was exported last of a metric. */
function pointsOf(name: string): readonly DataPoint<unknown>[] {
  const { scopeMetrics } = measured.getMetrics().at(-1)!
  return scopeMetrics.flatMap((scope) =>
    scope.metrics.filter(({ descriptor }) => descriptor.name === name).flatMap(({ dataPoints }) => [...dataPoints]),
  )
}

const spans = (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name)
type Span = ReturnType<typeof spans>[number]
const idOf = (span: Span): string => span.spanContext().spanId
const traceOf = (span: Span): string => span.spanContext().traceId

/** Waits for spans, because those of attempts end after the results of their jobs are known. */
async function ended(name: string, count: number): Promise<Span[]> {
  while (spans(name).length < count) await once(exporter.exported, 'more')
  return spans(name)
}

describe.each(PRESETS.map(([preset, config]) => ({ name: preset.name, preset, config })))(
  'otel on $name',
  ({ preset, config }) => {
    it('traces jobs, batches, retries, sub-steps and flows', async () => {
      const kernel = await application(preset, config)
      try {
        await kernel.registerWorker({
          id: 'mail',
          config: { queue: 'mail', attempts: 2 },
          handler: async ({ attempt, data }, ctx) => {
            await ctx.step.run('render', () => 'once')
            void ctx.logger.info('hello')
            if (data === 'twice' && attempt === 1) throw Object.assign(new Error('no'), { code: 'E_NO' })
            return trace.getActiveSpan()?.spanContext().spanId
          },
        })
        await kernel.registerWorker({
          id: 'paid',
          config: { queue: 'paid' },
          handler: (_job, ctx) => ctx.step.waitForEvent('paid', { event: 'paid', key: 'a' }),
        })
        await kernel.registerWorker({
          id: 'begin',
          config: { queue: 'flow', flow: { name: 'f', role: 'entry' } },
          handler: async (_job, ctx) => {
            for (const n of [1, 2]) await ctx.flow.emit('part', n)
          },
        })
        await kernel.registerWorker({
          id: 'part',
          config: { queue: 'flow', flow: { name: 'f', role: 'step', subscribes: 'part' } },
          handler: () => {},
        })
        await kernel.start()

        const request = trace.getTracer('test').startSpan('request')
        const job = await context.with(trace.setSpan(ROOT_CONTEXT, request), () => kernel.enqueue('mail', 'once'))
        const active = await kernel.result(job)
        const [send] = spans('send mail')
        const [process] = await ended('process mail', 1)
        expect(send).toMatchObject({
          kind: SpanKind.PRODUCER,
          parentSpanContext: { spanId: request.spanContext().spanId },
        })
        expect(send!.attributes).toMatchObject({
          'messaging.system': 'nuxt_queue',
          'messaging.operation.name': 'send',
          'messaging.operation.type': 'send',
          'messaging.destination.name': 'mail',
          'messaging.message.id': job.id,
          'messaging.message.conversation_id': job.runId,
        })
        expect(process!.kind).toBe(SpanKind.CONSUMER)
        expect(process!.links.map((link) => link.context.spanId)).toEqual([idOf(send!)])
        expect(traceOf(process!)).not.toBe(traceOf(send!))
        expect(active).toBe(idOf(process!))
        expect(process!.attributes).toMatchObject({
          'messaging.operation.type': 'process',
          'messaging.message.id': job.id,
          'messaging.nuxt_queue.job.name': 'mail',
          'messaging.nuxt_queue.attempt': 1,
        })
        expect(process!.instrumentationScope).toMatchObject({
          name: 'nuxt-queue',
          schemaUrl: expect.stringContaining('/1.') as string,
        })
        const [render] = spans('step render')
        expect(render!.parentSpanContext?.spanId).toBe(idOf(process!))
        const log = (await kernel.port('events').read(job.runId)).find(({ type }) => type === 'runner.log')
        expect(log!.data).toMatchObject({ message: 'hello', trace_id: traceOf(process!), span_id: idOf(process!) })

        exporter.reset()
        const many = await kernel.enqueueMany([1, 2, 3].map((data) => ({ worker: 'mail', data })))
        await Promise.all(many.map((one) => kernel.result(one)))
        const [batch, ...others] = spans('send mail')
        expect(others).toEqual([])
        expect(batch!.attributes['messaging.batch.message_count']).toBe(3)
        const three = await ended('process mail', 3)
        expect(three.map(({ links }) => links[0]!.context.spanId)).toEqual([1, 2, 3].map(() => idOf(batch!)))

        exporter.reset()
        const retried = await kernel.enqueue('mail', 'twice')
        await kernel.result(retried)
        const tries = await ended('process mail', 2)
        expect(tries.map(({ attributes }) => attributes['error.type'])).toEqual(['E_NO', undefined])
        const [first] = spans('send mail')
        expect(tries.map(({ links }) => links[0]!.context.spanId)).toEqual([idOf(first!), idOf(first!)])
        // The second attempt has read the sub-step from the log.
        expect(spans('step render')).toHaveLength(1)

        exporter.reset()
        const waiting = await kernel.enqueue('paid')
        // An event that comes before the attempt has left its handler is read by that attempt.
        await ended('process paid', 1)
        await expect.poll(async () => (await kernel.openWaits()).waits.length).toBe(1)
        await context.with(trace.setSpan(ROOT_CONTEXT, request), () => kernel.sendEvent('paid', 7, { key: 'a' }))
        expect(await kernel.result(waiting)).toBe(7)
        const [asked, resumed] = await ended('process paid', 2)
        const [ordered] = spans('send paid')
        expect(asked!.links.map((link) => link.context.spanId)).toEqual([idOf(ordered!)])
        expect(resumed!.links.map((link) => link.context.spanId)).toEqual([
          idOf(ordered!),
          request.spanContext().spanId,
        ])

        exporter.reset()
        const run = await kernel.flow('f').start()
        await kernel.flow('f').result(run.runId)
        const [entry, ...parts] = await ended('process flow', 3)
        const sends = spans('send flow')
        expect(parts).toHaveLength(2)
        expect(sends.some((span) => entry!.links[0]!.context.spanId === idOf(span))).toBe(true)
        // The entry has sent what follows it.
        const followers = new Set(sends.filter((span) => traceOf(span) === traceOf(entry!)).map(idOf))
        expect(parts.map(({ links }) => followers.has(links[0]!.context.spanId))).toEqual([true, true])
        expect(
          exporter.getFinishedSpans().map(({ attributes }) => attributes['messaging.destination.name']),
        ).not.toContain('_flow')
      } finally {
        await kernel.close({ timeout: 0 })
      }
    })
  },
)

describe('otel', () => {
  it('continues the trace of a request in workers of every runtime, on their log lines too, and measures them', async () => {
    const kernel = await application(dev, { otel: { correlation: 'parent', createSpans: true, settle: true } })
    const python = join(folder, 'log.py')
    const isolated = join(folder, 'isolated.mjs')
    const api = import.meta.resolve('@opentelemetry/api')
    const manager = import.meta.resolve('@opentelemetry/context-async-hooks')
    const propagator = import.meta.resolve('@opentelemetry/core')
    mkdirSync(join(folder, 'opentelemetry'))
    for (const [file, text] of Object.entries(PYTHON_API)) writeFileSync(join(folder, 'opentelemetry', file), text)
    writeFileSync(
      python,
      `from nuxt_queue import define_worker
from opentelemetry import context


@define_worker
def log(job, ctx):
    ctx.logger.info("hello")
    ctx.step.run("render", lambda: 1)
    return {**job.headers, "active": context.get_current().get("traceparent")}
`,
    )
    const steps = `await ctx.step.run('render', () => 1)`
    writeFileSync(
      isolated,
      `import { context, propagation, trace } from '${api}'
import { AsyncLocalStorageContextManager } from '${manager}'
import { W3CTraceContextPropagator } from '${propagator}'
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
propagation.setGlobalPropagator(new W3CTraceContextPropagator())
export default async (job, ctx) => {
  ctx.logger.info('hello')
  ${steps}
  const { traceId, spanId } = trace.getActiveSpan()?.spanContext() ?? {}
  return { ...job.headers, active: \`00-\${traceId}-\${spanId}-01\` }
}
`,
    )
    try {
      await kernel.registerWorker({
        id: 'python',
        config: { runtime: 'python', process: { env: { PYTHONPATH: folder } } },
        absPath: python,
      })
      await kernel.registerWorker({ id: 'isolated', config: { runtime: 'node-isolated' }, absPath: isolated })
      await kernel.start()
      const traceId = '0af7651916cd43dd8448eb211c80319c'
      for (const worker of ['python', 'isolated']) {
        const request = new Request('http://localhost/_queue/api/jobs', {
          method: 'POST',
          body: JSON.stringify({ worker }),
          headers: { 'content-type': 'application/json', traceparent: `00-${traceId}-b7ad6b7169203331-01` },
        })
        const job = (await (await kernel.http.fetch(request, { trusted: true })).json()) as {
          queue: string
          id: string
          runId: string
        }
        const { traceparent, active } = await kernel.result<{ traceparent: string; active: string }>(job)
        expect(active).toBe(traceparent)
        const [process] = await ended('process default', 1)
        expect(traceparent).toBe(`00-${traceId}-${idOf(process!)}-01`)
        const log = (await kernel.port('events').read(job.runId)).find(({ type }) => type === 'runner.log')
        expect(log!.data).toMatchObject({ message: 'hello', trace_id: traceId, span_id: idOf(process!) })
        for (const name of ['step render', 'settle default']) {
          const below = (await ended(name, 1)).map((span) => [span.parentSpanContext?.spanId, traceOf(span)])
          expect([name, below]).toEqual([name, [[idOf(process!), traceId]]])
        }
        exporter.reset()
      }
      await kernel.enqueueMany([1, 2].map((data) => ({ worker: 'isolated', data })))
      const [send] = spans('send default')
      expect(spans('create default').map((span) => span.parentSpanContext?.spanId)).toEqual([idOf(send!), idOf(send!)])
      await reader.forceFlush()
      const names = measured
        .getMetrics()
        .flatMap(({ scopeMetrics }) =>
          scopeMetrics.flatMap((scope) => scope.metrics.map(({ descriptor }) => descriptor.name)),
        )
      expect(names).toEqual(
        expect.arrayContaining([
          'messaging.client.sent.messages',
          'messaging.client.operation.duration',
          'messaging.client.consumed.messages',
          'messaging.process.duration',
          'nuxt_queue.job.wait.duration',
          'nuxt_queue.run.duration',
          'nuxt_queue.events.append.duration',
          'nuxt_queue.queue.jobs',
          'nuxt_queue.queue.oldest_job.age',
          'nuxt_queue.runs.active',
        ]),
      )
    } finally {
      await kernel.close({ timeout: 0 })
    }
  })

  it('counts dead letters, late ticks of schedules, slots of workers and streams', async () => {
    const kernel = await application(dev)
    const [ticked, gate, begun] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
    ]
    try {
      const bad = { queue: 'bad', deadLetter: 'dead', concurrency: 3 }
      await kernel.registerWorker({
        id: 'bad',
        config: bad,
        handler({ data }) {
          if (data !== 'stays') throw new Error('no')
          begun.resolve()
          return gate.promise
        },
      })
      await kernel.registerWorker({ id: 'tick', config: { schedule: { every: 50 } }, handler: () => ticked.resolve() })
      await kernel.start()
      await expect(kernel.result(await kernel.enqueue('bad'))).rejects.toThrow('no')
      await kernel.enqueue('bad', 'stays')
      await Promise.all([ticked.promise, begun.promise])
      await reader.forceFlush()
      const onBad = { 'messaging.destination.name': 'bad' }
      expect(pointsOf('nuxt_queue.job.dead_letters')).toMatchObject([{ attributes: onBad, value: 1 }])
      expect(pointsOf('nuxt_queue.worker.slots')).toEqual(
        expect.arrayContaining(
          [
            { state: 'busy', value: 1 },
            { state: 'idle', value: 2 },
          ].map(({ state, value }) =>
            expect.objectContaining({ attributes: { ...onBad, 'nuxt_queue.slot.state': state }, value }),
          ),
        ),
      )
      expect(pointsOf('nuxt_queue.schedule.lag')).toMatchObject([{ value: { count: expect.any(Number) } }])
      expect(pointsOf('nuxt_queue.stream.followers')).toMatchObject([{ value: 0 }])
    } finally {
      gate.resolve()
      await kernel.close({ timeout: 0 })
    }
  })

  it('links an attempt to what ended its wait: the attempt that slept, an attempt whose wait timed out, and a request', async () => {
    const asked = Promise.withResolvers<string>()
    const { kernel, advance, close } = await createTestKernel({
      plugins: [otel],
      config: { webhooks: { baseUrl: 'https://example.com/' } },
      workers: {
        sleeps: {
          config: { queue: 'sleeps' },
          handler: (_job, ctx) => ctx.step.sleep('nap', 1000),
        },
        'gives-up': {
          config: { queue: 'gives-up' },
          handler: (_job, ctx) => ctx.step.waitForEvent('never', { event: 'never', timeout: 1000 }),
        },
        approved: {
          config: {
            queue: 'approved',
            awaitBefore: { type: 'webhook' },
            onAwaitRegister: ({ url }) => asked.resolve(url!),
          },
          handler: () => {},
        },
      },
    })
    try {
      for (const worker of ['sleeps', 'gives-up']) {
        await kernel.enqueue(worker)
        await ended(`process ${worker}`, 1)
        await advance(1000)
        const [before, resumed] = await ended(`process ${worker}`, 2)
        const [send] = spans(`send ${worker}`)
        expect(before!.links.map((link) => link.context.spanId)).toEqual([idOf(send!)])
        expect(resumed!.links.map((link) => link.context.spanId)).toEqual([idOf(send!), idOf(before!)])
      }
      const job = await kernel.enqueue('approved')
      const url = await asked.promise
      await ended('process approved', 1)
      expect((await kernel.webhooks.fetch(new Request(url, { method: 'POST', headers: REQUEST }))).status).toBe(202)
      await kernel.result(job)
      const [, resumed] = await ended('process approved', 2)
      expect(resumed!.links.at(-1)!.context).toMatchObject({ traceId: TRACE, spanId: SPAN })
    } finally {
      await close()
    }
  })

  it('links the target of a trigger to the request or the event that fired it', async () => {
    const kernel = await application(dev, {
      triggers: {
        hook: { type: 'webhook', path: 'hook', verify: 'none', worker: 'hooked' },
        event: { type: 'event', event: 'placed', flow: 'order' },
        hand: { type: 'manual', worker: 'by-hand' },
      },
    })
    const names = Promise.withResolvers<string[]>()
    try {
      const flow = { name: 'order', role: 'entry' } as const
      await kernel.registerWorker({
        id: 'hooked',
        config: { queue: 'hooked' },
        handler: ({ headers }) => names.resolve(Object.keys(headers)),
      })
      await kernel.registerWorker({ id: 'ordered', config: { queue: 'ordered', flow }, handler: () => {} })
      await kernel.registerWorker({ id: 'by-hand', config: { queue: 'by-hand' }, handler: () => {} })
      await kernel.start()
      const post = (path: string) =>
        new Request(`http://localhost/_queue/${path}`, { method: 'POST', headers: REQUEST })
      await kernel.webhooks.fetch(post('triggers/hook'))
      await kernel.sendEvent('placed', 1, { headers: REQUEST })
      await kernel.emitTrigger('hand', 1, { headers: REQUEST })
      for (const queue of ['hooked', 'ordered', 'by-hand']) {
        const [send] = await ended(`send ${queue}`, 1)
        expect([queue, send!.parentSpanContext]).toMatchObject([queue, { traceId: TRACE, spanId: SPAN }])
      }
      // Everyone may send a request to a webhook, so its baggage does not reach handlers.
      expect(await names.promise).toEqual(['traceparent'])
    } finally {
      await kernel.close({ timeout: 0 })
    }
  })

  it('ends the span of an attempt that has timed out, although its handler continues', async () => {
    const kernel = await application(dev)
    const gate = Promise.withResolvers<void>()
    try {
      await kernel.registerWorker({ id: 'slow', config: { timeout: 20 }, handler: () => gate.promise })
      await kernel.start()
      await expect(kernel.result(await kernel.enqueue('slow'))).rejects.toMatchObject({ code: 'JOB_TIMEOUT' })
      const [process] = await ended('process default', 1)
      expect(process!.attributes['error.type']).toBe('JOB_TIMEOUT')
      expect(process!.status.message).toContain('within its timeout')
    } finally {
      gate.resolve()
      await kernel.close({ timeout: 0 })
    }
  })
})
