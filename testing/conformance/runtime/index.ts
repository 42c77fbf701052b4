import { afterAll, describe, expect, it } from 'vitest'
import {
  createKernel,
  definePlugin,
  definePreset,
  type AnyPlugin,
  type EnqueuedJob,
  type EnqueueOptions,
  type JobRecord,
  type JobState,
  type Kernel,
  type KernelConfig,
  type MaybePromise,
  type Preset,
} from '../../../kernel/index.ts'
import dev from '../../../presets/dev.ts'
import { createVirtualClock } from '../../virtual-clock.ts'
import { codeOf, collectReports } from '../harness.ts'
import { createTime, reachState, type Time } from '../time.ts'
import { SUPPORTED_VALUES } from '../travels.ts'
import {
  inProcessScenarios,
  localWorkers,
  SCENARIO_CONFIGS,
  type RuntimeScenarios,
  type ScenarioWorker,
} from './scenarios.ts'

export type { RuntimeScenarios, ScenarioWorker } from './scenarios.ts'

export interface RuntimeConformanceOptions {
  name: string
  /** The value of `runtime` in the configuration of workers. */
  runtime: string
  /** The plugins that provide the runtime. */
  plugins: readonly AnyPlugin[]
  /** The preset that stores the queue and the events. Default `dev`. */
  preset?: Preset
  /** Called for each kernel: once for all tests, and again after the test that closes the kernel. */
  config?: KernelConfig | (() => MaybePromise<KernelConfig>)
  /** The workers of the suite, for a runtime that does not run functions. Default: functions. */
  workers?: RuntimeScenarios
  /** `real` for a runtime outside this process. Default `virtual`. */
  time?: 'virtual' | 'real'
}

interface RuntimeRig extends Time {
  kernel: Kernel
  start(worker: string, data?: unknown, options?: EnqueueOptions): Promise<EnqueuedJob>
  /** Waits until a job is in a state, and returns it. */
  reach(job: EnqueuedJob, state: JobState): Promise<JobRecord>
  /** Returns the job as it is stored after the kernel was closed. */
  afterwards(job: EnqueuedJob): Promise<JobRecord>
}
type RuntimeTest = (test: (rig: RuntimeRig) => Promise<void>) => () => Promise<void>

/**
 * Registers the tests that every runtime passes, with queue and events in memory.
 *
 * @example
 * runtimeConformance({ name: 'runtime-node', runtime: 'node', plugins: [runtimeNode] })
 */
export function runtimeConformance(options: RuntimeConformanceOptions): void {
  describe(`runtime conformance: ${options.name}`, () => {
    // All tests share a kernel, because processes take long to start. Each test has its own jobs.
    const shared = shareRig(options)
    const test: RuntimeTest = (body) => async () => body(await shared.open())
    const last: RuntimeTest = (body) => async () => {
      try {
        await body(await shared.open())
      } finally {
        await shared.close()
      }
    }
    afterAll(shared.close)
    resultTests(test)
    failureTests(test)
    stopTests(test)
    contextTests(test)
    waitTests(test, options)
    if (options.workers?.prints) printTests(test)
    const local = { functions: localTests, files: (): void => {} }
    local[options.workers ? 'files' : 'functions'](test)
    closeTests(last)
  })
}

function shareRig(options: RuntimeConformanceOptions) {
  let opened: ReturnType<typeof openRig> | undefined
  return {
    async open(): Promise<RuntimeRig> {
      opened ??= openRig(options)
      return (await opened).rig
    },
    async close(): Promise<void> {
      const closing = opened
      opened = undefined
      await (await closing)?.close()
    },
  }
}

async function openRig(options: RuntimeConformanceOptions) {
  const { plugins, config: own, preset: base = dev, runtime, workers, time: kind } = options
  const virtual = createVirtualClock()
  const real = kind === 'real'
  const virtualTime = definePlugin({
    name: 'conformance-clock',
    enforce: 'pre',
    setup: (kernel) => kernel.provide('clock', virtual),
  })
  const defaults = { retention: { sweepInterval: 0 }, registry: { dirs: [] }, abortGrace: 20, setupTimeout: 120_000 }
  const added = real ? plugins : [virtualTime, ...plugins]
  const preset = definePreset({ name: 'conformance', extends: base, plugins: added, config: defaults })
  const config = typeof own === 'function' ? await own() : own
  const { reporter } = collectReports()
  const kernel = await createKernel({ preset, config, reporter })
  const all: Record<string, ScenarioWorker> = { ...(workers ?? { ...inProcessScenarios, ...localWorkers }) }
  const registered = new Map<string, Promise<unknown>>()
  /** Registers a worker when a test first needs it. Each worker has its own queue, and most tests need only one. */
  function register(id: string): Promise<unknown> {
    let registering = registered.get(id)
    if (!registering) {
      const worker = all[id]!
      const config = { concurrency: 4, ...SCENARIO_CONFIGS[id], ...worker.config, queue: id, runtime }
      registering = kernel.registerWorker({ id, ...worker, config })
      registered.set(id, registering)
    }
    return registering
  }
  // The steps of a flow must be registered before it starts.
  for (const id of ['emits', 'receives']) await register(id)
  await kernel.start()
  const time = createTime(real ? {} : { clock: virtual, advance: (ms) => virtual.advance(ms) })
  kernel.port('queue').on('*', '*', time.notify)
  const rig: RuntimeRig = {
    ...time,
    kernel,
    async start(worker, data, enqueueOptions) {
      await register(worker)
      return kernel.enqueue(worker, data, enqueueOptions)
    },
    reach: (job, state) => reachState(time, kernel.port('queue'), job, state),
    async afterwards({ queue, id }) {
      if (!kernel.port('queue').capabilities.durable) return (await kernel.port('queue').getJob(queue, id))!
      const other = await createKernel({ preset: base, config: { ...defaults, ...config }, reporter })
      try {
        return (await other.port('queue').getJob(queue, id))!
      } finally {
        await other.close()
      }
    },
  }
  return { rig, close: () => kernel.close({ timeout: 0 }) }
}

function resultTests(test: RuntimeTest): void {
  it(
    'runs a handler with its job and its context, and stores its result',
    test(async ({ start, reach }) => {
      const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
      const job = await start('echo', { to: 'Ada' }, { headers })
      const { result } = await reach(job, 'completed')
      const { id, queue, name, runId } = job
      expect(result).toEqual({ data: { to: 'Ada' }, id, queue, name, headers, runId, attempt: 1 })
    }),
  )

  it(
    'passes JSON values to the handler and back',
    test(async ({ start, reach }) => {
      const data = {
        text: 'ünï 😀 "quoted"\n',
        numbers: [0, -1.5, 1e21],
        none: null,
        yes: true,
        list: [],
        deep: [[{}]],
      }
      const { result } = await reach(await start('echo', data), 'completed')
      expect((result as { data: unknown }).data).toStrictEqual(data)
    }),
  )

  it(
    'completes a handler that returns nothing',
    test(async ({ start, reach }) => {
      expect((await reach(await start('nothing'), 'completed')).result ?? undefined).toBeUndefined()
    }),
  )

  it(
    'fails with the error of the handler, including its stack',
    test(async ({ start, reach }) => {
      const { error, attemptsMade } = await reach(await start('fail'), 'failed')
      expect(error).toMatchObject({ message: 'boom', stack: expect.stringContaining('boom') as string })
      expect(attemptsMade).toBe(1)
    }),
  )

  it(
    'fails with an error that the handler throws asynchronously',
    test(async ({ start, reach }) => {
      expect((await reach(await start('failLater'), 'failed')).error).toMatchObject({ message: 'later' })
    }),
  )

  it(
    'runs the handler again for the next attempt',
    test(async ({ start, reach }) => {
      const record = await reach(await start('failOnce', null, { attempts: 2 }), 'completed')
      expect(record).toMatchObject({ result: 2, attemptsMade: 1 })
    }),
  )
}

function failureTests(test: RuntimeTest): void {
  for (const kind of ['ring', 'odd']) {
    it(
      `fails with an error that cannot be stored as it is (${kind}), after its attempts`,
      test(async ({ kernel, start, reach }) => {
        const job = await start('throws', kind, { attempts: 2 })
        const { error, attemptsMade } = await reach(job, 'failed')
        expect(attemptsMade).toBe(2)
        expect(typeof error!.message).toBe('string')
        expect(error!.message.length).toBeLessThan(10_000)
        expect(JSON.stringify(error).length).toBeLessThan(200_000)
        const end = await kernel.port('events').byKey(job.runId, `end:${job.id}`)
        expect(end).toMatchObject({ type: 'step.failed', data: { error: { message: error!.message } } })
      }),
    )
  }

  it(
    'fails with a truncated error if the error is too large to be stored, and says so',
    test(async ({ start, reach }) => {
      const { error } = await reach(await start('throws', 'large'), 'failed')
      expect(JSON.stringify(error).length).toBeLessThan(200_000)
      expect(error!.message).toMatch(/^x{8000,}… \(\d+ more characters\)$/)
    }),
  )

  it(
    'accepts any value as a log entry and any number as progress',
    test(async ({ kernel, start, reach }) => {
      const job = await start('says')
      expect(await reach(job, 'completed')).toMatchObject({ result: 'done', progress: 1 })
      const logged = await kernel.port('events').read(job.runId, { types: ['runner.log'] })
      expect(logged).toHaveLength(1)
      const { level, message, meta } = logged[0]!.data as { level: string; message: string; meta: object }
      expect({ level, message }).toEqual({ level: 'error', message: 'anything' })
      expect(JSON.stringify(meta)).toContain('boom')
      expect(JSON.stringify(meta)).toContain('more characters')
    }),
  )
}

function stopTests(test: RuntimeTest): void {
  it(
    'fails a handler that never settles, after its timeout',
    test(async ({ start, reach }) => {
      const { error } = await reach(await start('hang', null, { timeout: 50 }), 'failed')
      expect(error?.code).toBe('JOB_TIMEOUT')
    }),
  )

  it(
    'aborts the signal of a handler when its job is cancelled',
    test(async ({ kernel, start, until, reach }) => {
      const job = await start('obey')
      await until(
        'the handler is running',
        async () => (await kernel.port('queue').getJob('obey', job.id))?.progress === 0.5,
      )
      expect(await kernel.cancel(job)).toBe(true)
      await reach(job, 'cancelled')
      expect(await codeOf(() => kernel.result(job))).toBe('JOB_CANCELLED')
    }),
  )
}

function closeTests(test: RuntimeTest): void {
  it(
    'stops a handler when the kernel closes, and returns its job to the queue',
    test(async ({ kernel, start, until, afterwards }) => {
      const job = await start('hang')
      // A job is stored as active before its process knows that it has claimed it.
      await until('the attempt has begun', async () => {
        const begun = await kernel.port('events').read(job.runId, { types: ['step.started'] })
        return begun.length === 1
      })
      const { aborted } = await kernel.close({ timeout: 10 })
      expect(aborted.map(({ id }) => id)).toEqual([job.id])
      const { state, attemptsMade } = await afterwards(job)
      expect({ state, attemptsMade }).toEqual({ state: 'waiting', attemptsMade: 0 })
    }),
  )
}

function contextTests(test: RuntimeTest): void {
  it(
    'gives each handler the state and logs of its own run, even if several jobs run at once',
    test(async ({ kernel, start, reach }) => {
      const jobs = await Promise.all(['a', 'b', 'c'].map((data) => start('use', data)))
      for (const [index, seen] of ['a', 'b', 'c'].entries()) {
        const job = jobs[index]!
        expect((await reach(job, 'completed')).result).toEqual({ seen, count: 1 })
        expect(await kernel.state(job.runId)).toEqual({ seen, count: 1 })
        const stored = await kernel.port('events').read(job.runId, { types: ['state.set', 'runner.log'] })
        expect(stored.map(({ type }) => type)).toEqual(['state.set', 'state.set', 'runner.log'])
        expect(stored[2]!.data).toEqual({ level: 'info', message: 'hello', meta: { n: 1 } })
      }
    }),
  )

  it(
    'sends the progress of a handler to followers of its run',
    test(async ({ kernel, start, until }) => {
      const values: unknown[] = []
      const onMessage = ({ type, data }: { type: string; data?: unknown }): void =>
        void (type === 'progress' && values.push((data as { value: number }).value))
      await kernel.port('events').subscribe('known', { onMessage }, () => {})
      const job = await start('obey', null, { runId: 'known' })
      await until('progress arrives', () => values.length === 1)
      expect(values).toEqual([0.5])
      await kernel.cancel(job)
    }),
  )

  it(
    'sends the messages of a handler to followers of its run, and stores them on request',
    test(async ({ kernel, start, reach, until }) => {
      const received: unknown[] = []
      const about = { jobId: expect.any(String) as string, step: 'tells' }
      const leave = await kernel.streams.follow(
        'told',
        {},
        {
          onEvents: (events) =>
            void received.push(...events.filter(({ type }) => type === 'client.message').map(({ data }) => data)),
          onMessage: ({ data }) => void received.push(data),
        },
      )
      const job = await start('tells', { n: 1 }, { runId: 'told' })
      expect((await reach(job, 'completed')).result).toBe(true)
      await until('all messages have arrived', () => received.length === 3)
      expect(received).toHaveLength(3)
      expect(received).toContainEqual({ ...about, value: 0.5, message: 'half' })
      expect(received).toContainEqual({ ...about, type: 'note', data: { n: 1 } })
      expect(received).toContainEqual({ type: 'kept', data: { n: 1 } })
      leave()
    }),
  )

  it(
    'rejects events from handlers that only the kernel and its plugins may write',
    test(async ({ kernel, start, reach }) => {
      const job = await start('forges', [...FORGERIES, ['mine', 'own']])
      const codes = [...FORGERIES.map(() => 'NAME_RESERVED'), 'stored']
      expect((await reach(job, 'completed')).result).toEqual(codes)
      const types = (await kernel.port('events').read(job.runId)).map(({ type }) => type)
      expect(types).toEqual(['step.started', 'mine', 'step.completed'])
    }),
  )

  it(
    'starts the next step of a flow with the data that a handler emits',
    test(async ({ kernel, until }) => {
      const { runId } = await kernel.flow('conformance').start({ n: 1 })
      await until('the run ends', () => kernel.port('events').byKey(runId, 'end'))
      expect(await kernel.flow('conformance').result(runId)).toEqual({ n: 1 })
    }),
  )
}

/** Events that a handler must not write, because they would end a job, resolve a wait or change state; and events that it may write. */
const FORGERIES = [
  ['step.completed', 'a'],
  ['flow.ended', 'b'],
  ['state.set', 'c'],
  ['runner.log', 'd'],
  ['emit', 'e'],
  ['webhook', 'f'],
  ['mine', 'end:job'],
  ['mine', 'resumed:job:wait'],
] as const

function printTests(test: RuntimeTest): void {
  it.each([
    { ends: 'returns', fails: false, state: 'completed', more: [] },
    { ends: 'throws', fails: true, state: 'failed', more: ['last words'] },
  ] as const)('keeps all output of a handler before it $ends', async ({ fails, state, more }) =>
    test(async ({ kernel, start, reach }) => {
      const lines = 4_000
      const job = await start('prints', { lines, fails }, { attempts: 1 })
      await reach(job, state)
      const stored = await kernel.port('events').read(job.runId, { types: ['runner.log'] })
      const messages = stored.map(({ data }) => (data as { message: string }).message)
      const printed = Array.from({ length: lines }, (_, index) => `${index + 1} ${'x'.repeat(60)}`)
      expect(messages.filter((message) => !more.includes(message as never))).toEqual(printed)
      expect(messages.filter((message) => more.includes(message as never))).toEqual(more)
    })(),
  )
}

function waitTests(test: RuntimeTest, { workers = inProcessScenarios }: RuntimeConformanceOptions): void {
  it(
    'suspends a handler that sleeps, and then continues, running each sub-step once',
    test(async ({ kernel, start, reach }) => {
      const job = await start('naps')
      expect((await reach(job, 'completed')).result).toEqual({ before: 1, after: 1, attempt: 1 })
      expect(await kernel.state(job.runId)).toEqual({ before: 1, after: 1 })
      const types = (await kernel.port('events').read(job.runId)).map(({ type }) => type)
      const asleep = ['step.started', 'state.set', 'step.memo', 'step.awaiting', 'step.deferred']
      expect(types).toEqual([...asleep, 'step.started', 'step.resumed', 'state.set', 'step.memo', 'step.completed'])
    }),
  )

  it(
    'records the failure of a sub-step, and replays it after a wait',
    test(async ({ kernel, start, reach }) => {
      const job = await start('undoes')
      expect((await reach(job, 'completed')).result).toEqual({ refused: 'refused' })
      expect(await kernel.state(job.runId)).toEqual({ charges: 1 })
      const types = (await kernel.port('events').read(job.runId)).map(({ type }) => type)
      const asleep = ['step.started', 'state.set', 'step.memo.failed', 'step.awaiting', 'step.deferred']
      expect(types).toEqual([...asleep, 'step.started', 'step.resumed', 'step.completed'])
    }),
  )

  it(
    'gives the process of a handler that waits for an event to the next job, and answers what came, by its key',
    test(async ({ kernel, start, reach, until }) => {
      const waits = async (runId: string): Promise<boolean> =>
        (await kernel.port('events').read(runId)).some(({ type }) => type === 'step.deferred')
      const first = await start('awaits', 'a')
      await until('the first waits', () => waits(first.runId))
      const second = await start('awaits', 'b')
      await until('the second waits', () => waits(second.runId))
      await kernel.sendEvent('paid', { amount: 5 }, { key: 'b' })
      expect((await reach(second, 'completed')).result).toEqual({ paid: { amount: 5 }, rated: null })
      await kernel.sendEvent('paid', 'all', { key: 'a' })
      expect((await reach(first, 'completed')).result).toEqual({ paid: 'all', rated: null })
      const ends = await Promise.all(
        [first, second].map(({ runId, id }) => kernel.port('events').byKey(runId, `end:${id}`)),
      )
      // All of this runs in one process, if the runtime has processes.
      const pids = ends.map((end) => (end!.data as { process?: { pid: number } }).process?.pid)
      expect(new Set(pids).size).toBe(1)
    }),
  )

  it(
    'starts another flow, waits for it and answers its result',
    test(async ({ kernel, start, reach }) => {
      const before = await kernel.flow('conformance').runs()
      const job = await start('starts', { n: 1 })
      expect((await reach(job, 'completed')).result).toEqual({ n: 1 })
      const runs = await kernel.flow('conformance').runs()
      expect(runs).toHaveLength(before.length + 1)
      expect((await kernel.port('events').read(job.runId)).map(({ type }) => type)).toContain('step.resumed')
    }),
  )

  const races = (): void =>
    it(
      'goes on with the first of two waits beside each other',
      test(async ({ start, reach }) => {
        expect((await reach(await start('races'), 'completed')).result).toBe('short')
      }),
    )
  const alone = (): void => {}
  ;(workers.races ? races : alone)()
}

function localTests(test: RuntimeTest): void {
  it(
    'hands over data of every kind and takes it back',
    test(async ({ start, reach }) => {
      for (const [what, data] of Object.entries(SUPPORTED_VALUES)) {
        const { result } = await reach(await start('echo', data), 'completed')
        expect({ [what]: (result as { data: unknown }).data }).toStrictEqual({ [what]: data })
      }
    }),
  )

  it(
    'keeps name, code and cause of a thrown error',
    test(async ({ start, reach }) => {
      const { error } = await reach(await start('fail'), 'failed')
      const cause = { name: 'TypeError', message: 'inner' }
      expect(error).toMatchObject({ name: 'Error', code: 'E_BOOM', cause })
    }),
  )

  it(
    'fails with a thrown value that is no Error',
    test(async ({ start, reach }) => {
      const { error } = await reach(await start('throwText'), 'failed')
      expect(error).toMatchObject({ code: 'HANDLER_FAILED', message: expect.stringContaining('just text') as string })
    }),
  )

  it(
    'lets useRunContext() find the context of its own job, also after waiting, in callbacks, and for jobs at once',
    test(async ({ start, reach }) => {
      const jobs = await Promise.all([1, 2, 3].map((n) => start('ambient', n)))
      for (const job of jobs) {
        const { result } = await reach(job, 'completed')
        expect(result).toEqual([true, true, true, true, true, true])
      }
    }),
  )

  it(
    'aborts the signal of a handler with the reason',
    test(async ({ kernel, start, reach }) => {
      const late = await start('reason', null, { timeout: 30 })
      expect((await reach(late, 'failed')).error).toMatchObject({ code: 'JOB_TIMEOUT' })
      const job = await start('reason')
      await reach(job, 'active')
      await kernel.cancel(job)
      await reach(job, 'cancelled')
    }),
  )
}
