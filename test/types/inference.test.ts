import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  createKernel,
  defineConfig,
  definePlugin,
  defineQueueConfig,
  defineQueueWorker,
  defineWorkerConfig,
  type AwaitResult,
  type DataOf,
  type DispatchPayload,
  type EmitPayload,
  type EnqueuePayload,
  type InputOf,
  type Explanation,
  type Job,
  type JobAddress,
  type JobHandle,
  type JobRecord,
  type Kernel,
  type MaybePromise,
  type Next,
  type OutputOf,
  type QueueConfig,
  type QueueHandle,
  type ReducePayload,
  type RunContext,
  type WorkerAddress,
} from '../../index.ts'
import type { Awaited as OldAwaited } from '../../plugins/flow/wait/index.ts'

const config = defineQueueConfig({
  input: z.object({ to: z.string(), at: z.coerce.date().default(() => new Date()) }),
  output: z.object({ sent: z.boolean() }),
  state: z.object({ count: z.number(), log: z.array(z.string()) }),
  client: { token: z.string(), answer: { schema: z.object({ text: z.string() }), store: true }, done: z.undefined() },
  concurrency: 5,
})

describe('a config and its handler', () => {
  it('passes the parsed input to the handler', () => {
    expectTypeOf<DataOf<typeof config>>().toEqualTypeOf<{ to: string; at: Date }>()
    expectTypeOf<InputOf<typeof config>>().toExtend<{ to: string }>()
    expectTypeOf<OutputOf<typeof config>>().toEqualTypeOf<{ sent: boolean }>()
    defineQueueWorker<typeof config>((job, ctx) => {
      expectTypeOf(job.data).toEqualTypeOf<{ to: string; at: Date }>()
      expectTypeOf(ctx.state.get('count')).toEqualTypeOf<Promise<number | undefined>>()
      expectTypeOf(ctx.state.get('log')).toEqualTypeOf<Promise<string[] | undefined>>()
      expectTypeOf(ctx.signal).toEqualTypeOf<AbortSignal>()
      return { sent: true }
    })
  })

  it('rejects wrong state, wrong results and wrong keys', () => {
    // @ts-expect-error the output schema wants { sent: boolean }
    defineQueueWorker<typeof config>(() => ({ sent: 'yes' }))
    defineQueueWorker<typeof config>(async (_job, ctx) => {
      // @ts-expect-error count is a number
      await ctx.state.set('count', 'one')
      // @ts-expect-error there is no such key
      await ctx.state.set('cuont', 1)
      await ctx.state.update('count', (count = 0) => count + 1)
      await ctx.client.send('token', 'Once', { store: true })
      await ctx.client.send('answer', { text: 'Once' })
      await ctx.client.send('done')
      // @ts-expect-error a token is a string
      await ctx.client.send('token', 1)
      // @ts-expect-error there is no such message
      await ctx.client.send('tokne', 'Once')
      // @ts-expect-error an answer has data
      await ctx.client.send('answer')
      return { sent: true }
    })
  })

  it('leaves data unknown and state open without schemas', () => {
    defineQueueWorker((job, ctx) => {
      expectTypeOf(job).toExtend<Job>()
      expectTypeOf(job.data).toEqualTypeOf<unknown>()
      expectTypeOf(ctx.state.get('anything')).toEqualTypeOf<Promise<unknown>>()
      expectTypeOf(ctx.client.send('anything', 1)).toEqualTypeOf<Promise<void>>()
      expectTypeOf(ctx.client.hasSubscribers()).toEqualTypeOf<Promise<boolean>>()
    })
  })

  it('infers the handler of a worker registered by code', async () => {
    const register = (kernel: Kernel): unknown =>
      kernel.registerWorker({
        id: 'mail',
        config: { input: z.object({ to: z.string() }) },
        handler: (job) => expectTypeOf(job.data).toEqualTypeOf<{ to: string }>(),
      })
    expectTypeOf(register).toBeFunction()
  })

  it('accepts limits by key, and rejects other shapes', () => {
    const key = (data: { tenant: string }): string => data.tenant
    defineQueueConfig({ rateLimit: { key, limit: 1, period: 5 }, concurrencyPerKey: { key, limit: 1 } })
    defineQueueConfig({ throttle: { key, limit: 1, period: 5 }, debounce: { key: 'all', period: 5 } })
    defineQueueConfig({
      limits: [
        { concurrency: 2, key },
        { rate: { limit: 1, period: 5 }, group: 'crm' },
      ],
    })
    // @ts-expect-error there is no limit of that name
    defineQueueConfig({ limits: [{ max: 2 }] })
    // @ts-expect-error both or none of the new names
    defineQueueConfig({ rateLimit: { limit: 1 } })
    // @ts-expect-error a key is text
    defineQueueConfig({ throttle: { period: 5, key: (data: { tenant: string }) => data.tenant.length } })
  })

  it('has one name for each meaning, and the deprecated ones', () => {
    expectTypeOf(defineWorkerConfig).toEqualTypeOf<typeof defineQueueConfig>()
    expectTypeOf<JobAddress>().toEqualTypeOf<WorkerAddress>()
    expectTypeOf<OldAwaited>().toEqualTypeOf<AwaitResult>()
    expectTypeOf<RunContext['awaited']>().toEqualTypeOf<AwaitResult | undefined>()
    expectTypeOf<Awaited<Promise<number>>>().toEqualTypeOf<number>()
    expectTypeOf<RunContext['progress']>().toBeCallableWith(0.5, 'half')
    // @ts-expect-error the option belongs to the whole application
    expectTypeOf(() => defineWorkerConfig({ adapter: 'memory' })).toBeFunction()
  })

  it('rejects options that do not exist', () => {
    // @ts-expect-error there is no option of that name
    defineQueueConfig({ concurency: 5 })
    // @ts-expect-error a number
    defineQueueConfig({ concurrency: '5' })
    // @ts-expect-error one of two types
    defineQueueConfig({ backoff: { type: 'linear', delay: 1 } })
  })
})

describe('hooks', () => {
  it('types each payload', () => {
    definePlugin({
      name: 'typed',
      setup(kernel) {
        kernel.hook('enqueue', (payload, next) => {
          expectTypeOf(payload).toEqualTypeOf<EnqueuePayload>()
          expectTypeOf(next).toEqualTypeOf<Next>()
          return next()
        })
        kernel.hook('dispatch', (payload) => expectTypeOf(payload).toEqualTypeOf<DispatchPayload>() as never)
        kernel.hook('context', (payload) => expectTypeOf(payload).toEqualTypeOf<RunContext>() as never)
        kernel.hook('emit', (payload) => expectTypeOf(payload).toEqualTypeOf<EmitPayload>() as never)
        kernel.hook('reduce', (payload) => expectTypeOf(payload).toEqualTypeOf<ReducePayload>() as never, {
          when: (payload) => payload.runId === 'x',
        })
        expectTypeOf<ReturnType<Next>>().toEqualTypeOf<MaybePromise<void>>()
        // @ts-expect-error there is no such hook
        kernel.hook('enqueued', () => {})
      },
    })
  })

  it('types the options of a plugin by their schema', () => {
    definePlugin({
      name: 'with-options',
      options: z.strictObject({ limit: z.number().default(3) }),
      setup(_kernel, options) {
        expectTypeOf(options).toEqualTypeOf<{ limit: number }>()
      },
    })
  })
})

describe('the kernel', () => {
  it('has the members its plugins add', () => {
    expectTypeOf(createKernel).returns.resolves.toEqualTypeOf<Kernel>()
    expectTypeOf<Kernel['state']>().returns.resolves.toEqualTypeOf<Record<string, unknown>>()
    expectTypeOf<Kernel['flow']>().parameters.toEqualTypeOf<[name: string]>()
    expectTypeOf<Kernel['cancel']>().returns.resolves.toEqualTypeOf<boolean>()
    expectTypeOf<Kernel['queue']>().returns.toEqualTypeOf<QueueHandle>()
    expectTypeOf(defineConfig).parameter(0).toEqualTypeOf<QueueConfig>()
  })

  it('gives handles of jobs the type of their result', () => {
    const handles = async (kernel: Kernel): Promise<void> => {
      const job = await kernel.enqueue('any')
      expectTypeOf(job.result).returns.resolves.toEqualTypeOf<unknown>()
      expectTypeOf(job.explain).returns.resolves.toEqualTypeOf<Explanation>()
      expectTypeOf(kernel.job(job)).toEqualTypeOf<JobHandle>()
      const { queue, id } = job
      expectTypeOf(kernel.job<number>({ queue, id })).toEqualTypeOf<JobHandle<number>>()
      expectTypeOf(kernel.job<number>({ queue, id }).result).returns.resolves.toEqualTypeOf<number>()
      expectTypeOf(kernel.job({ queue: 'q', id: 'i' }).record).returns.resolves.toEqualTypeOf<JobRecord | undefined>()
      // @ts-expect-error a job is known by its queue and its id
      kernel.job({ id: 'i' })
      // @ts-expect-error the handle names the queue
      await kernel.queue('q').jobs({ queue: 'other' })
    }
    expectTypeOf(handles).toBeFunction()
  })
})
