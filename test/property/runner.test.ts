import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createKernel,
  definePlugin,
  type AppendResult,
  type EventStore,
  type JobRecord,
  type Kernel,
  type Processor,
  type Settlement,
  type StoredEvent,
} from '../../kernel/index.ts'
import control from '../../plugins/jobs/control/index.ts'
import { createLocalEvents } from '../../plugins/adapters/lib/local-events/store.ts'
import jobOptions from '../../plugins/jobs/job-options/index.ts'
import runtimeNode from '../../plugins/runtimes/node/index.ts'
import { createVirtualClock, settled } from '../../testing/index.ts'

type Ending = 'ok' | 'throw' | 'defer'
type Action =
  /** Claims the job, even if another process still runs it. */
  | { type: 'claim' }
  /** The holder of the claim dies. Its handler is a zombie from now on. */
  | { type: 'crash' }
  | { type: 'finish'; which: number; ending: Ending }
  | { type: 'cancel' }
  /** The next append fails, before or after it has stored. */
  | { type: 'fault'; when: 'before' | 'after' }

interface Running {
  claim: number
  finish: (ending: Ending) => void
}

/** A queue of one job that is claimed when the test requests it, on a store that fails on demand. */
async function createWorld(attempts: number, inFlow = false) {
  const clock = createVirtualClock()
  const running: Running[] = []
  let processor: Processor | undefined
  let fault: 'before' | 'after' | undefined
  const record: JobRecord = {
    ...{ id: 'job', queue: 'q', name: 'work', data: null, runId: 'run', options: { attempts }, priority: 0 },
    ...{
      createdAt: clock.now(),
      runAt: clock.now(),
      flow: inFlow ? { name: 'flow', step: 'work' } : undefined,
      state: 'waiting',
    },
    ...{ attemptsMade: 0, claims: 0, crashes: 0, round: 0 },
  }
  let holder = 0

  const adapter = definePlugin({
    name: 'hand-driven',
    setup(kernel) {
      kernel.provide('clock', clock)
      kernel.provide('events', withFaults(createLocalEvents(kernel, { durable: false }).store))
      kernel.provide('queue', {
        capabilities: { durable: true, shared: true, delay: true, priority: true, maxQueueSize: false, progress: true },
        getJob: () => record,
        cancel: () => false,
      } as never)
      kernel.provide('workers', {
        registerWorker: (_queue: string, _name: string, process: Processor) => void (processor = process),
        closeAll: async () => {},
      } as never)
    },
  })

  function withFaults(store: EventStore): EventStore {
    return {
      ...store,
      append(...args) {
        const failing = fault
        fault = undefined
        if (failing === 'before') throw new Error('the store is away')
        const result = store.append(...args) as AppendResult
        if (failing === 'after') throw new Error('the answer of the store was lost')
        return result
      },
    }
  }

  const kernel: Kernel = await createKernel({
    plugins: [adapter, runtimeNode, jobOptions, control],
    reporter: { warn() {}, error() {} },
    config: { maxCrashes: 1000 },
  })
  await kernel.registerWorker({
    id: 'work',
    config: { queue: 'q' },
    handler: (_job, ctx) =>
      new Promise((resolve, reject) => {
        const finish = async (ending: Ending): Promise<void> => {
          await ctx.emit('mark', { claim: ctx.claim })
          if (ending === 'ok') resolve('done')
          else if (ending === 'defer') resolve(ctx.defer({ delay: 0 }))
          else throw new Error('failed on purpose')
        }
        running.push({ claim: ctx.claim, finish: (ending) => void finish(ending).catch(reject) })
      }),
  })
  await kernel.start()

  function apply(claim: number, settlement: Settlement): void {
    if (claim !== holder) return
    holder = 0
    if (settlement.type === 'retry') record.attemptsMade++
    if (settlement.type === 'completed' || settlement.type === 'failed') record.state = settlement.type
    if (settlement.type === 'ended') record.state = settlement.state
  }

  async function claim(): Promise<void> {
    if (holder !== 0) record.crashes++
    record.claims++
    const mine = (holder = record.claims)
    void processor!({ ...record, runAt: clock.now() }, { progress() {} }).then((settlement) => apply(mine, settlement))
    await settled()
  }

  async function act(action: Action): Promise<void> {
    if (action.type === 'claim') await claim()
    else if (action.type === 'crash') holder = 0
    else if (action.type === 'fault') fault = action.when
    else if (action.type === 'cancel') await kernel.cancel({ queue: 'q', id: 'job' }).catch(() => {})
    else running.splice(action.which % Math.max(1, running.length), 1)[0]?.finish(action.ending)
    await settled()
  }

  /** After any history, the job is claimed until the adapter has no work left. */
  async function bringToAnEnd(): Promise<void> {
    fault = undefined
    for (let round = 0; round < 50 && !['completed', 'failed', 'cancelled'].includes(record.state); round++) {
      await clock.advance(2000)
      await claim()
      for (const one of running.splice(0)) one.finish('ok')
      await settled()
    }
  }
  const handOut = (changes: Partial<JobRecord>) => processor!({ ...record, ...changes }, { progress() {} })
  return {
    kernel,
    record,
    act,
    handOut,
    claim,
    bringToAnEnd,
    running,
    events: async () => kernel.port('events').read('run'),
  }
}

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Action>({ type: 'claim' }) },
  { weight: 1, arbitrary: fc.constant<Action>({ type: 'crash' }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('finish' as const),
      which: fc.nat(5),
      ending: fc.constantFrom<Ending>('ok', 'throw', 'throw', 'defer'),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Action>({ type: 'cancel' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('fault' as const),
      when: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
)

const isEnd = ({ type }: StoredEvent): boolean => /^step\.(?:completed|failed|cancelled)$/.test(type)
const claimOf = ({ data }: StoredEvent): number => (data as { claim: number }).claim

describe('a job, whatever happens to it,', () => {
  it('ends once, in the log and in the queue alike, and no process writes after it has lost the job', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 25 }),
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        async (actions, attempts, inFlow) => {
          const world = await createWorld(attempts, inFlow)
          for (const one of actions) await world.act(one)
          await world.bringToAnEnd()
          const events = await world.events()

          expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1))
          const ends = events.filter(isEnd)
          expect(ends).toHaveLength(1)
          expect(events.at(-1)).toBe(ends[0])
          expect(world.record.state).toBe(ends[0]!.type.slice('step.'.length))

          // A claim that another claim has followed writes nothing.
          const claims = events.filter(({ type }) => type === 'mark' || type === 'step.started').map(claimOf)
          expect(claims).toEqual(claims.toSorted((a, b) => a - b))

          // Only failures of the handler count as attempts, and never more than the maximum.
          const retries = events.filter(({ type }) => type === 'step.retry').length
          expect(retries).toBeLessThan(attempts)
          expect(ends.every(({ type }) => type !== 'step.failed') || retries === attempts - 1).toBe(true)
          await world.kernel.close({ timeout: 0 })
        },
      ),
      { numRuns: 150 },
    )
  })

  it('a zombie that fails before another attempt has begun counts as one failure', async () => {
    const world = await createWorld(2)
    await world.claim()
    await world.act({ type: 'crash' })
    await world.act({ type: 'finish', which: 0, ending: 'throw' })
    await world.claim()
    await world.act({ type: 'finish', which: 0, ending: 'throw' })
    expect((await world.events()).filter(({ type }) => type === 'step.retry')).toHaveLength(1)
    expect(world.record.attemptsMade).toBe(1)
  })

  it('a zombie that finishes late changes nothing', async () => {
    const world = await createWorld(3)
    await world.claim()
    const zombie = world.running.shift()!
    await world.act({ type: 'crash' })
    await world.claim()
    zombie.finish('ok')
    await settled()
    expect((await world.events()).map(({ type }) => type)).toEqual(['step.started', 'step.started'])
    await world.act({ type: 'finish', which: 0, ending: 'ok' })
    const events = await world.events()
    expect(events.map(({ type }) => type)).toEqual(['step.started', 'step.started', 'mark', 'step.completed'])
    expect(claimOf(events[2]!)).toBe(2)
    expect(world.record.state).toBe('completed')
  })

  it('an ended job is acknowledged without running, even if it is claimed again under its old id', async () => {
    const world = await createWorld(1)
    await world.claim()
    await world.act({ type: 'finish', which: 0, ending: 'ok' })
    const before = await world.events()
    Object.assign(world.record, { state: 'waiting', claims: 0, attemptsMade: 0 })
    await world.claim()
    expect(world.running).toEqual([])
    expect(world.record.state).toBe('completed')
    expect(await world.events()).toEqual(before)
  })

  it.each(['before', 'after'] as const)(
    'a store that fails %s the terminal event was stored loses nothing',
    async (when) => {
      const world = await createWorld(1)
      await world.claim()
      const [handler] = world.running.splice(0)
      handler!.finish('ok')
      // `finish` stores the mark, so the next append is the end.
      await Promise.resolve()
      await world.act({ type: 'fault', when })
      await world.bringToAnEnd()
      const ends = (await world.events()).filter(isEnd)
      expect(ends.map(({ type }) => type)).toEqual(['step.completed'])
      expect(world.record.state).toBe('completed')
    },
  )

  it('cancellation and completion at the same moment leave one end', async () => {
    const world = await createWorld(1)
    await world.claim()
    const [handler] = world.running.splice(0)
    handler!.finish('ok')
    const cancelled = await world.kernel.cancel({ queue: 'q', id: 'job' })
    await settled()
    await world.bringToAnEnd()
    const ends = (await world.events()).filter(isEnd)
    expect(ends.map(({ type }) => type)).toEqual([cancelled ? 'step.cancelled' : 'step.completed'])
    expect(world.record.state).toBe(cancelled ? 'cancelled' : 'completed')
  })

  it('a job that crashes its workers fails after maxCrashes', async () => {
    const world = await createWorld(1)
    world.kernel.config.maxCrashes = 3
    for (let round = 0; round < 4; round++) await world.claim()
    await settled()
    expect((await world.events()).at(-1)).toMatchObject({
      type: 'step.failed',
      data: { error: { code: 'JOB_CRASHED' } },
    })
    expect(world.record.state).toBe('failed')
  })

  it('a job that was claimed before it is due is returned without an event', async () => {
    const world = await createWorld(1)
    const runAt = world.kernel.clock.now() + 60_000
    expect(await world.handOut({ runAt })).toEqual({ type: 'defer', runAt })
    expect(await world.events()).toEqual([])
  })
})
