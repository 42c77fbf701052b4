import { expect, it } from 'vitest'
import { z } from 'zod'
import { entry, range, step } from './flow-workers.ts'
import type { PresetTest } from './rig.ts'

/** Tests the shapes of flows: diamonds, joins, nested fan-out, loops, several entries. */
export function graphTests(test: PresetTest): void {
  it(
    'joins once enough branches have arrived, and lets the others finish',
    test(async ({ kernel, start, event }) => {
      const runs: unknown[] = []
      await start({
        split: entry(async (_job, ctx) => {
          for (const name of ['a', 'b', 'c']) await ctx.flow.emit(name, name)
        }),
        two: step({ subscribes: ['a', 'b', 'c'], join: 2 }, ({ data }) => void runs.push(data)),
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).type).toBe('flow.completed')
      expect(runs).toEqual([{ a: 'a', b: 'b' }])
    }),
  )

  it(
    'stops the branches that a join no longer waits for',
    test(async ({ kernel, start, event, events, until }) => {
      const stopped: string[] = []
      const works = Promise.withResolvers<void>()
      await start({
        split: entry(async (_job, ctx) => {
          await ctx.flow.emit('slow')
          await ctx.flow.emit('fast')
        }),
        slow: step({ subscribes: 'slow', emits: ['slow.done'] }, async (_job, { signal }) => {
          works.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          stopped.push((signal.reason as { code: string }).code)
        }),
        fast: step({ subscribes: 'fast', emits: ['fast.done'] }, async (_job, ctx) => {
          await works.promise
          await ctx.flow.emit('fast.done', 'won')
        }),
        first: step({ subscribes: ['slow.done', 'fast.done'], join: 'any', losers: 'cancel' }, ({ data }) => data),
      })
      const { runId } = await kernel.flow('f').start()
      expect(await event(runId, 'end')).toMatchObject({ type: 'flow.completed', data: { result: 'won' } })
      await until('the loser is stopped', () => stopped.length === 1)
      expect(stopped).toEqual(['JOB_CANCELLED'])
      const cancelled = (await events(runId)).filter(({ type }) => type === 'step.cancelled')
      expect(cancelled).toMatchObject([{ step: 'slow', data: { reason: 'nothing waits for it any more' } }])
    }),
  )

  it(
    'joins within each branch of a fan-out, and gathers the branches at the end',
    test(async ({ kernel, start, event }) => {
      await start({
        split: entry(async (_job, ctx) => {
          for (const n of range(5)) await ctx.flow.emit('item', n)
        }),
        item: step({ subscribes: 'item' }, async ({ data }, ctx) => {
          await ctx.flow.emit('left', Number(data))
          await ctx.flow.emit('right', Number(data) * 10)
        }),
        left: step({ subscribes: 'left' }, ({ data }, ctx) => ctx.flow.emit('left.done', data)),
        right: step({ subscribes: 'right' }, ({ data }, ctx) => ctx.flow.emit('right.done', data)),
        both: step({ subscribes: ['left.done', 'right.done'] }, ({ data }, ctx) => {
          const both = data as Record<string, number>
          return ctx.flow.emit('both', both['left.done']! + both['right.done']!)
        }),
        sum: step({ subscribes: 'both', gather: 'item' }, ({ data }) =>
          (data as { both: number[] }).both.toSorted((a, b) => a - b),
        ),
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).data).toEqual({ result: [0, 11, 22, 33, 44] })
    }),
  )

  it(
    'gathers a fan-out inside a fan-out first',
    test(async ({ kernel, start, event }) => {
      await start({
        split: entry(async (_job, ctx) => {
          for (const n of range(3)) await ctx.flow.emit('book', n)
        }),
        book: step({ subscribes: 'book', emits: ['page'] }, async ({ data }, ctx) => {
          for (const n of range(Number(data))) await ctx.flow.emit('page', n)
        }),
        page: step({ subscribes: 'page' }, (_job, ctx) => ctx.flow.emit('page.done')),
        bound: step({ subscribes: 'page.done', gather: 'page' }, ({ data }, ctx) =>
          ctx.flow.emit('bound', (data as { 'page.done': unknown[] })['page.done'].length),
        ),
        shelf: step({ subscribes: 'bound', gather: 'book' }, ({ data }) =>
          (data as { bound: number[] }).bound.toSorted((a, b) => a - b),
        ),
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).data).toEqual({ result: [0, 1, 2] })
    }),
  )

  it(
    'emits when a fan-out is closed, including an empty one',
    test(async ({ kernel, start, event, events }) => {
      await start({
        split: entry(() => 'no parts', { flow: { name: 'f', role: 'entry', emits: ['part'] } }),
        part: step({ subscribes: 'part' }, (_job, ctx) => ctx.flow.emit('part.done')),
        sum: step({ subscribes: 'part.done', gather: 'part' }, ({ data }) => data),
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).data).toEqual({ result: { 'part.done': [] } })
      expect((await events(runId)).find(({ type }) => type === 'group.closed')?.data).toEqual({ event: 'part' })
    }),
  )

  it(
    'runs a loop until its condition ends it, and fails a loop that exceeds its limit',
    test(async ({ kernel, start, event, events }) => {
      await start({
        begin: entry(({ data }, ctx) => ctx.flow.emit('try', { left: data })),
        attempt: step({ subscribes: 'try', limit: 3 }, async ({ data }, ctx) => {
          const { left } = data as { left: number }
          if (left === 0) return 'done'
          await ctx.flow.emit('again', left - 1)
        }),
        again: step({ subscribes: 'again' }, ({ data }, ctx) => ctx.flow.emit('try', { left: data })),
      })
      const short = await kernel.flow('f').start(2)
      expect(await event(short.runId, 'end')).toMatchObject({ type: 'flow.completed', data: { result: 'done' } })
      const long = await kernel.flow('f').start(9)
      expect(await event(long.runId, 'end')).toMatchObject({
        type: 'flow.failed',
        data: { step: 'attempt', error: { code: 'FLOW_LIMIT' } },
      })
      const runs = (await events(long.runId)).filter(
        ({ type, step: name }) => type === 'step.completed' && name === 'attempt',
      )
      expect(runs).toHaveLength(3)
    }),
  )

  it(
    'begins at the given entry, and allows a worker in several flows',
    test(async ({ kernel, start, event }) => {
      const shared = ({ data }: { data: unknown }) => `shared ${String(data)}`
      await start({
        one: entry((_job, ctx) => ctx.flow.emit('x', 1)),
        two: entry((_job, ctx) => ctx.flow.emit('x', 2)),
        other: [{ flow: { name: 'g', role: 'entry' } }, (_job, ctx) => ctx.flow.emit('y', 3)],
        both: [
          {
            flow: [
              { name: 'f', role: 'step', subscribes: 'x' },
              { name: 'g', role: 'step', subscribes: 'y' },
            ],
          },
          shared,
        ],
      })
      await expect(kernel.flow('f').start()).rejects.toMatchObject({ code: 'FLOW_INVALID' })
      const second = await kernel.flow('f').start(undefined, { entry: 'two' })
      expect((await event(second.runId, 'end')).data).toEqual({ result: 'shared 2' })
      const direct = await kernel.enqueue('one', 'x', { id: 'direct' })
      expect((await event(direct.runId, 'end')).data).toEqual({ result: 'shared 1' })
      const third = await kernel.flow('g').start()
      expect((await event(third.runId, 'end')).data).toEqual({ result: 'shared 3' })
    }),
  )

  it(
    'finds runs by their tags, and records the version on which they began',
    test(async ({ kernel, start, event, events }) => {
      await start({ only: entry(() => {}, { flow: { name: 'f', role: 'entry', version: '7' } }) })
      const ada = await kernel.flow('f').start(1, { tags: ['customer:ada', 'vip'] })
      const bob = await kernel.flow('f').start(2, { tags: ['customer:bob'] })
      for (const { runId } of [ada, bob]) await event(runId, 'end')
      const found = await kernel.flow('f').runs({ tag: 'customer:ada' })
      expect(found).toMatchObject([{ runId: ada.runId, flow: 'f', tags: ['customer:ada', 'vip'] }])
      expect((await events(ada.runId))[0]).toMatchObject({ type: 'flow.started', data: { input: 1, version: '7' } })
    }),
  )

  it(
    'passes gathered data to a step even if it exceeds the payload limit of the queue',
    test(
      async ({ kernel, start, events }) => {
        const tried: unknown[] = []
        const input = z.object({ done: z.array(z.string().transform((text) => `${text}!`)) })
        await start({
          split: entry(async (_job, ctx) => {
            for (const part of range(20)) await ctx.flow.emit('part', part)
          }),
          part: step({ subscribes: 'part', emits: ['done'] }, (_job, ctx) => ctx.flow.emit('done', 'x'.repeat(300)), {
            concurrency: 5,
          }),
          sum: step(
            { subscribes: 'done', gather: 'part' },
            ({ data }, { attempt }) => {
              const { done } = data as { done: string[] }
              tried.push(done.length, done.pop()!.length)
              if (attempt === 1) throw new Error('again')
              return done.length
            },
            { input, attempts: 2 },
          ),
        })
        const { runId } = await kernel.flow('f').start()
        expect(await kernel.flow('f').result(runId)).toBe(19)
        expect(tried).toEqual([20, 301, 20, 301])
        expect((await events(runId)).at(-1)).toMatchObject({ type: 'flow.completed' })
      },
      { payloadLimit: 4096 },
    ),
  )
}
