import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import { entry, step, undo } from './flow-workers.ts'
import type { PresetTest, Worker } from './rig.ts'

/** A flow of five steps in a row: each adds its letter, counts itself in the state, and has a sub-step. */
function fiveSteps(parts: string[] = []): Record<string, Worker> {
  const names = ['a', 'b', 'c', 'd', 'e']
  const handlerOf = (name: string): Parameters<typeof entry>[0] => {
    return async ({ data }, ctx) => {
      await ctx.state.update<string>('count', (count) => Number(count ?? 0) + 1)
      const text = await ctx.step.run('part', () => {
        parts.push(name)
        return `${String(data)}${name}`
      })
      await ctx.logger.info(`has ${text}`)
      if (name !== 'e') await ctx.flow.emit(`${name}.done`, text)
      return text
    }
  }
  return Object.fromEntries(
    names.map((name, index) => [
      name,
      index === 0 ? entry(handlerOf(name)) : step({ subscribes: `${names[index - 1]}.done` }, handlerOf(name)),
    ]),
  )
}

/** Tests runs that begin with the history of other runs. */
export function lookingBackTests(test: PresetTest): void {
  it(
    'continues from any event of a run, and ends like that run',
    test(async ({ kernel, start, event, events }) => {
      const parts: string[] = []
      await start(fiveSteps(parts))
      const flow = kernel.flow('f')
      const { runId } = await flow.start('>', { id: 'original', tags: ['red'] })
      await event(runId, 'end')
      const history = await events(runId)
      parts.length = 0
      const forks = await Promise.all(history.map(({ seq }) => flow.fork(runId, { at: seq, id: `fork${seq}` })))
      for (const [index, fork] of forks.entries()) {
        expect(await event(fork.runId, 'end')).toMatchObject({ type: 'flow.completed', data: { result: '>abcde' } })
        expect(await kernel.state(fork.runId)).toEqual({ count: 5 })
        const forkEvents = await events(fork.runId)
        const forkedFrom = { runId, at: index + 1 }
        expect(forkEvents[0]).toMatchObject({ type: 'flow.started', data: { input: '>', tags: ['red'], forkedFrom } })
        expect(forkEvents.filter(({ type }) => type === 'step.completed')).toHaveLength(5)
      }
      expect(await flow.status('fork3')).toMatchObject({ status: 'completed', tags: ['red'] })
      // A sub-step that is already recorded at that moment is not run again.
      const done = history.map(({ seq }) => history.filter((one) => one.seq <= seq && one.type === 'step.memo').length)
      expect(parts).toHaveLength(done.reduce((sum, count) => sum + 5 - count, 0))
      expect(await events(runId)).toEqual(history)
    }),
  )

  it(
    'runs again from a step with different input and state, and leaves the original run unchanged',
    test(async ({ kernel, start, event, events }) => {
      await start(fiveSteps())
      const flow = kernel.flow('f')
      const { runId } = await flow.start('>')
      await event(runId, 'end')
      const history = await events(runId)
      const again = await flow.rerunFrom(runId, 'c', { input: '!', state: { count: 100, note: 'x' }, tags: ['again'] })
      expect(await event(again.runId, 'end')).toMatchObject({ data: { result: '!cde' } })
      expect(await kernel.state(again.runId)).toEqual({ count: 103, note: 'x' })
      const begun = (await events(again.runId)).filter(({ type }) => type === 'step.started').map((one) => one.step)
      expect(begun).toEqual(['a', 'b', 'c', 'd', 'e'])
      const { stepId } = history.find(({ type, step: name }) => type === 'step.started' && name === 'e')!
      const last = await flow.rerunFrom(runId, stepId!)
      expect(await event(last.runId, 'end')).toMatchObject({ data: { result: '>abcde' } })
      const first = await flow.rerunFrom(runId, 'a', { input: '?' })
      expect(await event(first.runId, 'end')).toMatchObject({ data: { result: '?abcde' } })
      const ofFork = await flow.rerunFrom(again.runId, 'd')
      expect(await event(ofFork.runId, 'end')).toMatchObject({ data: { result: '!cde' } })
      expect(await kernel.state(ofFork.runId)).toEqual({ count: 103, note: 'x' })
      expect((await flow.runs({ tag: 'again' })).map((run) => run.runId).toSorted()).toEqual(
        [again.runId, ofFork.runId].toSorted(),
      )
      expect(await events(runId)).toEqual(history)
    }),
  )

  it(
    'forks once under one id, and never into an existing run',
    test(async ({ kernel, start, event, events }) => {
      await start(fiveSteps())
      const flow = kernel.flow('f')
      const { runId } = await flow.start('>')
      await event(runId, 'end')
      const twice = await Promise.all([1, 2].map(() => flow.fork(runId, { at: 3, id: 'once' })))
      expect(twice.filter(({ deduplicated }) => deduplicated)).toHaveLength(1)
      await event('once', 'end')
      const forkEvents = await events('once')
      expect(forkEvents.filter(({ type }) => type === 'flow.forked')).toHaveLength(1)
      expect(forkEvents.filter(({ type }) => type === 'step.completed')).toHaveLength(5)
      expect(await codeOf(() => flow.fork('once', { id: runId }))).toBe('OPTION_INVALID')
      expect(await codeOf(() => flow.fork('nobody'))).toBe('RUN_NOT_FOUND')
      for (const at of [0, 1000, 1.5, new Date(0), new Date(NaN)]) {
        expect(await codeOf(() => flow.fork(runId, { at }))).toBe('OPTION_INVALID')
      }
      expect(await codeOf(() => flow.rerunFrom(runId, 'z'))).toBe('OPTION_INVALID')
    }),
  )

  it(
    'continues from a failed run before its failed step, and from a cancelled run',
    test(async ({ kernel, start, event }) => {
      let broken = true
      const undone: unknown[] = []
      await start({
        place: entry(async ({ data }, ctx) => ctx.flow.emit('placed', data)),
        ship: step({ subscribes: 'placed', onError: 'compensate' }, ({ data }) => {
          if (broken) throw new Error('no truck')
          return `shipped ${String(data)}`
        }),
        release: undo('place', ({ data }) => void undone.push(data)),
      })
      const flow = kernel.flow('f')
      const { runId } = await flow.start('A1')
      expect((await event(runId, 'end')).type).toBe('flow.failed')
      expect(undone).toMatchObject([{ input: 'A1' }])
      const same = await flow.fork(runId)
      expect(await event(same.runId, 'end')).toMatchObject({ type: 'flow.failed', data: { compensated: ['release'] } })
      broken = false
      const mended = await flow.rerunFrom(runId, 'ship')
      expect(await event(mended.runId, 'end')).toMatchObject({ data: { result: 'shipped A1' } })
      expect(undone).toHaveLength(1)
    }),
  )

  it(
    'keeps events that were received, and waits again for events that were not',
    test(async ({ kernel, start, event, events, until }) => {
      const inner: unknown[] = []
      await start({
        outer: entry(async (_job, ctx) => {
          const child = await ctx.flow.start('inner', 'x', { wait: true })
          const paid = await ctx.step.waitForEvent('paid', { event: 'paid', key: '7' })
          const approved = await ctx.step.waitForEvent('approved', { event: 'approved', key: '7' })
          return [child, paid, approved]
        }),
        inner: [{ flow: { name: 'inner', role: 'entry' } }, ({ data }) => inner.push(data)],
      })
      const flow = kernel.flow('f')
      const { runId } = await flow.start(undefined, { id: 'waits' })
      const waits = (run: string, name: string) =>
        until(`${run} waits for ${name}`, async () =>
          (await events(run)).some(({ type, key }) => type === 'step.awaiting' && key?.endsWith(`:${name}`)),
        )
      await waits(runId, 'paid')
      await kernel.sendEvent('paid', 'cash', { key: '7' })
      await waits(runId, 'approved')
      const fork = await flow.fork(runId)
      await waits(fork.runId, 'approved')
      await flow.cancel(runId)
      await kernel.sendEvent('approved', 'yes', { key: '7' })
      expect(await event(fork.runId, 'end')).toMatchObject({ data: { result: [1, 'cash', 'yes'] } })
      expect((await event(runId, 'end')).type).toBe('flow.cancelled')
      expect(inner).toEqual(['x'])
      const revived = await flow.fork(runId)
      await waits(revived.runId, 'approved')
      await kernel.sendEvent('approved', 'yes', { key: '7' })
      expect(await event(revived.runId, 'end')).toMatchObject({ data: { result: [1, 'cash', 'yes'] } })
    }),
  )
}
