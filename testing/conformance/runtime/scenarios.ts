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
 * The workers of the suite. A runtime that does not run functions passes files that do the same, in any language.
 */
export interface RuntimeScenarios {
  /** Returns `{ data, id, queue, name, headers, runId, attempt }` of its job. */
  echo: ScenarioWorker
  /** Returns nothing. */
  nothing: ScenarioWorker
  /** Throws an error `boom` immediately. */
  fail: ScenarioWorker
  /** Waits a little, then throws an error `later`. */
  failLater: ScenarioWorker
  /** Throws an error on attempt 1 and returns the attempt on the next. */
  failOnce: ScenarioWorker
  /** Never returns, even if its signal aborts. */
  hang: ScenarioWorker
  /** Sets progress 0.5, waits until its signal aborts, then returns. */
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
   * returns whether its run has subscribers.
   */
  tells: ScenarioWorker
  /**
   * Adds 1 to state `before` in a sub-step `before`, sleeps 500 ms as `nap`, adds 1 to state `after` in a
   * sub-step `after`, and returns `{ before, after, attempt }` with the results of the sub-steps.
   */
  naps: ScenarioWorker
  /**
   * Adds 1 to state `charges` in a sub-step `charge`, which then fails with the message `refused`. Catches
   * the error, sleeps 500 ms as `nap`, and returns `{ refused }` with the message.
   */
  undoes: ScenarioWorker
  /**
   * Waits as `paid` for the event `paid` with its data as key, then as `rated` at most 50 ms for the event
   * `rated`, and returns both payloads as `{ paid, rated }`, with `null` for an event that did not arrive.
   */
  awaits: ScenarioWorker
  /**
   * Throws an error that depends on its data. `large`: an error `x…` that exceeds the payload limit. `ring`: an error `ring` with an
   * endless or very deep chain of causes. `odd`: an error whose members cannot be read or have wrong types.
   */
  throws: ScenarioWorker
  /**
   * Logs `anything` at level error with meta that cannot be stored and exceeds the payload limit, and with
   * an error as `error`. Sets progress NaN, then 7. Returns `done`.
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
   * Sleeps 60 s as `long` and, at the same time, 50 ms as `short`, and returns the name of the sleep that ends
   * first. Omit it if a handler cannot do two things at the same time.
   */
  races?: ScenarioWorker
  /**
   * Prints the number of lines in `lines` of its data: `1 ` and 60 times `x`, and so on. Then returns `printed`. With
   * `fails` in its data, it prints `last words` on stderr and throws an error. Omit it if the output of handlers is not
   * part of their log.
   */
  prints?: ScenarioWorker
}
export type ScenarioWorker = Omit<WorkerInput, 'id'>

/** Configuration that the suite adds to the workers. */
export const SCENARIO_CONFIGS: Readonly<Record<string, WorkerConfig>> = {
  emits: { flow: { name: 'conformance', role: 'entry' } },
  receives: { flow: { name: 'conformance', role: 'step', subscribes: 'done' } },
  // With a concurrency of 1, a waiting job has to make room for the next one, in one process if the runtime has processes.
  awaits: { concurrency: 1, process: { reuse: 10, spare: 0 } },
}

const soon = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** The workers of the suite as functions. */
export const inProcessScenarios: RuntimeScenarios = {
  echo: {
    handler: ({ data, id, queue, name, headers }, { runId, attempt }) => ({
      data,
      id,
      queue,
      name,
      headers,
      runId,
      attempt,
    }),
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

/** Workers that are possible only as functions in this process. */
export const localWorkers = {
  throwText: {
    handler() {
      throw 'just text' // oxlint-disable-line no-throw-literal, typescript/only-throw-error -- what it is about
    },
  },
  /** Checks where `useRunContext()` finds the context of the job. */
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
  /** Returns the reason for which its signal aborts. */
  reason: {
    async handler(_job, { signal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw new Error(`told to stop: ${(signal.reason as { code: string }).code}`)
    },
  },
} satisfies Record<string, ScenarioWorker>
