import { expect, it } from 'vitest'
import type { PresetTest } from './rig.ts'

const fails = (message: string) => (): never => {
  throw new Error(message)
}

/** Tests that a handler that runs again finds recorded outcomes by name, including failures. */
export function replayTests(test: PresetTest): void {
  it(
    'replays a failure that its handler has caught, after a wait and in the next attempt',
    test(async ({ kernel, start, reach, types }) => {
      const calls: string[] = []
      await start({
        saga: [
          { attempts: 2 },
          async (_job, ctx) => {
            const way = await ctx.step
              .run('charge', () => {
                calls.push('charge')
                if (calls.length === 1) throw Object.assign(new Error('refused'), { code: 'E_CARD' })
              })
              .then(
                () => 'charged',
                (error: Error & { code?: string }) => `${error.code} ${error.message}`,
              )
            await ctx.step.run('undo', () => calls.push('undo'))
            await ctx.step.sleep('nap', 20)
            if (ctx.attempt === 1) throw new Error('once')
            return way
          },
        ],
      })
      const job = await kernel.enqueue('saga')
      expect((await reach(job, 'completed')).result).toBe('E_CARD refused')
      expect(calls).toEqual(['charge', 'undo'])
      expect((await types(job.runId)).filter((type) => type === 'step.memo.failed')).toHaveLength(1)
    }),
  )

  it(
    'reruns the sub-step that failed its attempt, even if the handler cleaned up',
    test(async ({ kernel, start, reach }) => {
      const calls: string[] = []
      const flaky = (name: string) => () => {
        calls.push(name)
        if (calls.filter((one) => one === name).length < 3) throw new Error(`${name} is away`)
        return name
      }
      await start({
        plain: [{ attempts: 3 }, (_job, ctx) => ctx.step.run('plain', flaky('plain'))],
        cleans: [
          { attempts: 3 },
          async (_job, ctx) => {
            try {
              return await ctx.step.run('cleans', flaky('cleans'))
            } finally {
              await ctx.step.run('clean up', () => calls.push('clean up'))
            }
          },
        ],
        wraps: [
          { attempts: 3 },
          async (_job, ctx) => {
            try {
              return await ctx.step.run('wraps', flaky('wraps'))
            } catch (cause) {
              await ctx.step.run('report', () => calls.push('report'))
              throw new Error('wrapped', { cause })
            }
          },
        ],
        beside: [
          { attempts: 3 },
          async (_job, ctx) => {
            const both = [ctx.step.run('beside', flaky('beside')), ctx.step.run('other', () => calls.push('other'))]
            return (await Promise.all(both))[0]
          },
        ],
        putOff: [
          { attempts: 1 },
          async (_job, ctx) => {
            try {
              return await ctx.step.run('putOff', flaky('putOff'))
            } catch {
              return ctx.defer({ delay: 5 })
            }
          },
        ],
      })
      for (const name of ['plain', 'cleans', 'wraps', 'beside', 'putOff']) {
        expect((await reach(await kernel.enqueue(name), 'completed')).result).toBe(name)
        expect(calls.filter((one) => one === name)).toHaveLength(3)
      }
      const once = calls.filter((one) => ['clean up', 'report', 'other'].includes(one))
      expect(once.toSorted()).toEqual(['clean up', 'other', 'report'])
    }),
  )

  it(
    'identifies sub-steps by name and not by order',
    test(async ({ kernel, start, reach, elapse }) => {
      const calls: string[] = []
      await start({
        branches: [
          { attempts: 2 },
          async (_job, ctx) => {
            const part = (name: string) => ctx.step.run(name, () => void calls.push(name))
            const late = async (): Promise<void> => {
              await elapse(5)
              await part('late')
            }
            await Promise.all([part('early'), late()])
            if (ctx.attempt === 1) throw new Error('once')
            await Promise.all([part('early').then(() => part('new')), late()])
          },
        ],
      })
      await reach(await kernel.enqueue('branches'), 'completed')
      expect(calls.slice(0, 3)).toEqual(['early', 'late', 'early'])
      // The last two run at the same time.
      expect(calls.slice(3).toSorted()).toEqual(['late', 'new'])
    }),
  )

  it(
    'keeps internal names apart from the names of handlers',
    test(async ({ kernel, start, reach, until }) => {
      await start({
        work: [
          { attempts: 2 },
          async (_job, ctx) => {
            const part = (name: string, value: number) => ctx.step.run(name, () => value)
            const pages = [
              await part('page', 1),
              await part('page', 2),
              await part('page#2', 3),
              await part('page#1', 4),
            ]
            if (ctx.attempt === 1) throw new Error('once')
            return pages
          },
        ],
        outer: [
          { flow: { name: 'outer', role: 'entry' } },
          async (_job, ctx) => {
            await ctx.step.sleep('inner', 1)
            await ctx.step.sleep('inner', 1)
            const first = await ctx.flow.start('inner', 1, { wait: true })
            await ctx.step.sleep('(before)', 1)
            await ctx.step.sleep('(flow) inner#2', 1)
            return [first, await ctx.flow.start('inner', 2, { wait: true })]
          },
        ],
        inner: [{ flow: { name: 'inner', role: 'entry' } }, ({ data }) => data],
      })
      expect((await reach(await kernel.enqueue('work'), 'completed')).result).toEqual([1, 2, 3, 4])
      const { runId } = await kernel.flow('outer').start()
      const end = await until('it ends', () => kernel.port('events').byKey(runId, 'end'))
      expect(end).toMatchObject({ type: 'flow.completed', data: { result: [1, 2] } })
    }),
  )

  it(
    'rejects a wait under the name of a sub-step, and reports recorded outcomes that were not used',
    test(async ({ kernel, start, reach, until, reports }) => {
      await start({
        changed: [
          { attempts: 3 },
          async (_job, ctx) => {
            if (ctx.attempt === 1) await ctx.step.run('pause', () => 1)
            else await ctx.step.sleep('pause', 1)
            throw new Error('once')
          },
        ],
        renamed: [
          { attempts: 2 },
          async (_job, ctx) => {
            await ctx.step.run(ctx.attempt === 1 ? 'charge' : 'bill', () => 1)
            if (ctx.attempt === 1) throw new Error('once')
            return 'done'
          },
        ],
      })
      const changed = await reach(await kernel.enqueue('changed'), 'failed')
      expect(changed).toMatchObject({ error: { code: 'STEP_MISMATCH' }, attemptsMade: 2 })
      expect((await reach(await kernel.enqueue('renamed'), 'completed')).result).toBe('done')
      await until('it is said', () =>
        reports.find(({ message }) => message.includes('without requesting the recorded sub-step "charge"')),
      )
    }),
  )

  it(
    'resolves a race in every attempt like the first time',
    test(async ({ kernel, start, reach }) => {
      await start({
        race: [
          { attempts: 3 },
          async (_job, ctx) => {
            const slow = ctx.step.run('slow', () => 'slow')
            const first = await Promise.race([ctx.step.sleep('limit', 60_000).then(() => 'limit'), slow])
            await ctx.step.sleep('more', 60)
            if (ctx.attempt < 3) throw new Error('again')
            return first
          },
        ],
      })
      expect((await reach(await kernel.enqueue('race'), 'completed')).result).toBe('slow')
    }),
  )

  it(
    'retries a sub-step as often and as long as configured',
    test(async ({ kernel, start, reach, until, now }) => {
      const calls: number[] = []
      const aborted: unknown[] = []
      await start({
        flaky: (_job, ctx) =>
          ctx.step.run(
            'flaky',
            ({ attempt }) => {
              calls.push(now())
              if (attempt < 3) throw new Error('not yet')
              return attempt
            },
            { attempts: 3, backoff: { type: 'exponential', delay: 20 } },
          ),
        final: (_job, ctx) =>
          ctx.step.run('final', () => Promise.reject(Object.assign(new Error('no'), { retryable: false })), {
            attempts: 9,
          }),
        slow: async (_job, ctx) => {
          const late = await ctx.step
            .run(
              'slow',
              ({ signal }) => {
                signal.addEventListener('abort', () => aborted.push(signal.reason))
                return new Promise(() => {})
              },
              { timeout: 30 },
            )
            .catch((error: { code: string }) => error.code)
          await ctx.step.sleep('nap', 10)
          return late
        },
        odd: (_job, ctx) => ctx.step.run('odd', () => 1, { atempts: 2 } as object),
      })
      expect((await reach(await kernel.enqueue('flaky'), 'completed')).result).toBe(3)
      // Timers of Node may fire up to a millisecond early.
      expect(calls[1]! - calls[0]!).toBeGreaterThanOrEqual(19)
      expect(calls[2]! - calls[1]!).toBeGreaterThanOrEqual(39)
      expect(await reach(await kernel.enqueue('final'), 'failed')).toMatchObject({ error: { message: 'no' } })
      expect((await reach(await kernel.enqueue('slow'), 'completed')).result).toBe('STEP_TIMEOUT')
      await until('its signal has aborted', () => aborted.length === 1)
      expect(aborted).toMatchObject([{ code: 'STEP_TIMEOUT' }])
      const { error } = await reach(await kernel.enqueue('odd'), 'failed')
      expect(error).toMatchObject({ code: 'OPTION_INVALID', message: expect.stringContaining('attempts') as string })
    }),
  )

  it(
    'does not record the abort of a handler as the outcome of its sub-step',
    test(async ({ kernel, start, reach }) => {
      await start({
        slow: [
          { attempts: 2, timeout: 1000 },
          (_job, ctx) =>
            ctx.step.run('slow', ({ signal }) => {
              if (ctx.attempt === 2) return 'done'
              return new Promise((_resolve, reject) => {
                signal.addEventListener('abort', () => reject(new Error('aborted')))
              })
            }),
        ],
      })
      const job = await kernel.enqueue('slow')
      expect((await reach(job, 'completed')).result).toBe('done')
      const failed = await kernel.port('events').read(job.runId, { types: ['step.memo.failed'] })
      expect(failed).toEqual([])
    }),
  )

  it(
    'repeats only unrecorded work when a plugin calls the handler again',
    test(async ({ kernel, start, reach }) => {
      const calls: string[] = []
      kernel.hook('dispatch', async (_dispatch, next) => {
        try {
          await next()
        } catch {
          await next()
        }
      })
      await start({
        work: async (_job, ctx) => {
          await ctx.step.run('part', () => calls.push('part'))
          await ctx.step.run('flaky', () => (calls.push('flaky') === 2 ? fails('once')() : 'ok'))
          await ctx.step.sleep('nap', 10)
          await ctx.step.run('part', () => calls.push('part#2'))
        },
      })
      await reach(await kernel.enqueue('work'), 'completed')
      expect(calls).toEqual(['part', 'flaky', 'flaky', 'part#2'])
    }),
  )

  it(
    'does not restart a recorded run after the queue and the log have removed it',
    test(async ({ kernel, start, event, until }) => {
      const ran: string[] = []
      await start({
        outer: [
          { flow: { name: 'outer', role: 'entry' }, attempts: 2 },
          async (_job, ctx) => {
            const { runId } = await ctx.flow.start('inner', 'beside')
            const charged = await ctx.flow.start('inner', 'charge', { wait: true })
            if (ctx.attempt === 2) return charged
            await until('the other one has ended', () => kernel.port('events').byKey(runId, 'end'))
            await until('both are forgotten', async () => {
              const policy = { outcome: 'completed' as const, endedBefore: kernel.clock.now() + 1000, keep: 0 }
              await kernel.port('queue').clean(policy)
              await kernel.port('events').expire(policy)
              return (await kernel.port('queue').getJobs({ queue: 'inner' })).length === 0
            })
            throw new Error('once')
          },
        ],
        inner: [{ flow: { name: 'inner', role: 'entry' } }, ({ data }) => void ran.push(String(data))],
      })
      const { runId } = await kernel.flow('outer').start()
      expect(await event(runId, 'end')).toMatchObject({ type: 'flow.completed' })
      expect(new Set(ran)).toEqual(new Set(['beside', 'charge']))
      expect(ran).toHaveLength(2)
    }),
  )
}
