import {
  useKernel,
  useRunContext,
  type RunContext,
  type WorkerConfig,
  type WorkerInput,
} from '../../../kernel/index.ts'

import { hostileErrors } from '../hostile-errors.ts'
import { oddMeta } from './odd-meta.ts'

/**
 * What the workers of the suite do. A runtime that runs something else than functions passes files
 * that do the same, in whatever language.
 */
export interface RuntimeScenarios {
  /** Returns `{ data, id, queue, name, runId, attempt }` of its job. */
  echo: ScenarioWorker
  /** Returns nothing. */
  nothing: ScenarioWorker
  /** Throws an error `boom` at once. */
  fail: ScenarioWorker
  /** Waits a little, then throws an error `later`. */
  failLater: ScenarioWorker
  /** Throws an error on attempt 1 and returns the attempt on the next. */
  failOnce: ScenarioWorker
  /** Never returns, whatever its signal says. */
  hang: ScenarioWorker
  /** Sets progress 0.5, waits until it is told to stop, then returns. */
  obey: ScenarioWorker
  /**
   * Sets state `seen` to its data, adds 1 to state `count`, logs `hello` at level info with meta
   * `{ n: 1 }`, and returns all its state.
   */
  use: ScenarioWorker
  /** The entry of a flow `conformance`: emits `done` with its data. */
  emits: ScenarioWorker
  /** The step of that flow that subscribes to `done`: returns its data. */
  receives: ScenarioWorker
  /**
   * Sets progress 0.5 with the message `half`, sends its data to clients as `note` and stored as `kept`, and
   * returns whether anybody follows its run.
   */
  tells: ScenarioWorker
  /**
   * Adds 1 to state `before` in a sub-step `before`, sleeps 500 ms as `nap`, adds 1 to state `after` in a
   * sub-step `after`, and returns `{ before, after, attempt }` with what the sub-steps answered.
   */
  naps: ScenarioWorker
  /**
   * Adds 1 to state `charges` in a sub-step `charge`, which then fails with the message `refused`; catches
   * that, sleeps 500 ms as `nap`, and returns `{ refused }` with the message.
   */
  undoes: ScenarioWorker
  /**
   * Waits as `paid` for the event `paid` with its data as key, then as `rated` at most 50 ms for the event
   * `rated`, and returns both payloads as `{ paid, rated }`, with `null` for one that did not come.
   */
  awaits: ScenarioWorker
  /**
   * Throws by its data: `large`, an error `x…` that is larger than a payload may be; `ring`, an error `ring` whose causes have no end, or
   * as deep ones as the language has; `odd`, an error whose members cannot be read, or are of wrong types.
   */
  throws: ScenarioWorker
  /**
   * Logs `anything` at level error with meta that cannot travel and is larger than a payload may be, and with
   * an error as `error`; sets progress NaN, then 7; returns `done`.
   */
  says: ScenarioWorker
  /** Starts the flow `conformance` with its data, waits for it and returns its result. */
  starts: ScenarioWorker
  /**
   * Emits an event for each entry `[type, key]` of its data, with data 1, and returns for each the code of the error, or
   * `stored`.
   */
  forges: ScenarioWorker
  /**
   * Sleeps 60 s as `long` and, beside that, 50 ms as `short`, and returns the name of the one that is
   * over first. Leave it out where a handler does one thing at a time.
   */
  races?: ScenarioWorker
  /**
   * Prints as many lines as its data says in `lines`, `1 ` and 60 times `x` and so on; then returns `printed`. With
   * `fails` in its data it prints `last words` on stderr and throws an error. Leave it out where what handlers print is
   * not part of their log.
   */
  prints?: ScenarioWorker
}
export type ScenarioWorker = Omit<WorkerInput, 'id'>

/** Configuration that the suite adds to the workers. */
export const SCENARIO_CONFIGS: Readonly<Record<string, WorkerConfig>> = {
  emits: { flow: { name: 'conformance', role: 'entry' } },
  receives: { flow: { name: 'conformance', role: 'step', subscribes: 'done' } },
  // So that one that waits has to make room for the next, in one process where there are any.
  awaits: { concurrency: 1, process: { reuse: 10, spare: 0 } },
}

const soon = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** The workers as functions. */
export const inProcessScenarios: RuntimeScenarios = {
  echo: {
    handler: ({ data, id, queue, name }, { runId, attempt }) => ({ data, id, queue, name, runId, attempt }),
  },
  nothing: { handler: () => {} },
  fail: {
    handler() {
      throw Object.assign(new Error('boom', { cause: new TypeError('inner') }), { code: 'E_BOOM' })
    },
  },
  failLater: {
    async handler() {
      await soon()
      throw new Error('later')
    },
  },
  failOnce: {
    handler(_job, { attempt }) {
      if (attempt === 1) throw new Error('once')
      return attempt
    },
  },
  hang: { handler: () => new Promise(() => {}) },
  obey: {
    async handler(_job, ctx) {
      await ctx.progress(0.5)
      if (!ctx.signal.aborted) await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
      return 'stopped'
    },
  },
  use: {
    async handler(job, { state, logger }) {
      await state.set('seen', job.data)
      await soon()
      await state.update('count', (count) => Number(count ?? 0) + 1)
      await logger.info('hello', { n: 1 })
      return state.getAll()
    },
  },
  emits: { handler: (job, ctx) => ctx.flow.emit('done', job.data) },
  receives: { handler: (job) => job.data },
  tells: {
    async handler({ data }, { client, progress }) {
      await progress(0.5, 'half')
      await client.send('note', data)
      await client.send('kept', data, { store: true })
      return client.hasSubscribers()
    },
  },
  naps: {
    async handler(_job, { state, step, attempt }) {
      const count = (key: string): Promise<unknown> => state.update(key, (value) => Number(value ?? 0) + 1)
      const before = await step.run('before', () => count('before'))
      await step.sleep('nap', 500)
      return { before, after: await step.run('after', () => count('after')), attempt }
    },
  },
  undoes: {
    async handler(_job, { state, step }) {
      const refused = await step
        .run('charge', async () => {
          await state.update('charges', (value) => Number(value ?? 0) + 1)
          throw new Error('refused')
        })
        .catch((error: Error) => error.message)
      await step.sleep('nap', 500)
      return { refused }
    },
  },
  awaits: {
    async handler({ data }, { step }) {
      const paid = await step.waitForEvent('paid', { event: 'paid', key: String(data) })
      const rated = await step.waitForEvent('rated', { event: 'rated', timeout: 50 })
      return { paid, rated: rated ?? null }
    },
  },
  throws: {
    handler({ data }) {
      if (data === 'large') throw new Error('x'.repeat(2 ** 21))
      if (data === 'odd') throw hostileErrors['a Proxy that throws']!() as Error
      const error: Error & { cause?: unknown } = new Error('ring')
      error.cause = new Error('other end', { cause: error })
      throw error
    },
  },
  says: {
    async handler(_job, { logger, progress }) {
      void logger.error('anything', oddMeta())
      await progress(Number.NaN)
      await progress(7)
      return 'done'
    },
  },
  forges: {
    async handler({ data }, ctx) {
      const codes: unknown[] = []
      for (const [type, key] of data as [string, string][]) {
        const stored = ctx.emit(type, 1, { key }).then(
          () => 'stored',
          ({ code }: { code?: unknown }) => code,
        )
        codes.push(await stored)
      }
      return codes
    },
  },
  starts: { handler: ({ data }, { flow }) => flow.start('conformance', data, { wait: true }) },
  races: {
    handler: (_job, { step }) =>
      Promise.race([step.sleep('long', 60_000).then(() => 'long'), step.sleep('short', 50).then(() => 'short')]),
  },
}

/** What only functions in this process can do. */
export const localWorkers = {
  throwText: {
    handler() {
      throw 'just text' // oxlint-disable-line no-throw-literal, typescript/only-throw-error -- what it is about
    },
  },
  /** Where `useRunContext()` finds the job's own context. */
  ambient: {
    async handler(job, ctx) {
      const found = [useRunContext() === (ctx as RunContext)]
      await soon()
      found.push(useRunContext() === (ctx as RunContext))
      await Promise.all(
        [soon(), soon()].map((waited) => waited.then(() => found.push(useRunContext().job.id === job.id))),
      )
      await new Promise<void>((resolve) => {
        setTimeout(() => {
          found.push(useRunContext().runId === ctx.runId, useKernel() === ctx.kernel)
          resolve()
        }, 1)
      })
      return found
    },
  },
  /** Why its signal aborts. */
  reason: {
    async handler(_job, { signal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw new Error(`told to stop: ${(signal.reason as { code: string }).code}`)
    },
  },
} satisfies Record<string, ScenarioWorker>
