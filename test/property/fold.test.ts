import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventDraft } from '../../kernel/index.ts'
import { createTestKernel } from '../../testing/index.ts'

type Operation = { set: string; value: unknown } | { remove: string } | { batch: [string, unknown][] }

const key = fc.constantFrom('a', 'b', 'count', '__proto__', 'constructor')
const value = fc.oneof(
  fc.integer(),
  fc.string(),
  fc.constant(null),
  fc.record({ n: fc.integer(), list: fc.array(fc.boolean()) }),
)
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ set: key, value }),
  fc.record({ remove: key }),
  fc.record({ batch: fc.array(fc.tuple(key, value), { minLength: 1, maxLength: 3 }) }),
)
const operations = fc.array(operation, { maxLength: 30 })

function toEvent(one: Operation): EventDraft {
  if ('set' in one) return { type: 'state.set', data: { key: one.set, value: one.value } }
  if ('remove' in one) return { type: 'state.delete', data: { key: one.remove } }
  return { type: 'state.batch', data: { changes: one.batch.map(([name, item]) => ({ key: name, value: item })) } }
}

/** Computes the result of the operations without the plugin. */
function model(list: readonly Operation[]): [string, unknown][] {
  const state = new Map<string, unknown>()
  for (const one of list) {
    if ('set' in one) state.set(one.set, one.value)
    else if ('remove' in one) state.delete(one.remove)
    else for (const [name, item] of one.batch) state.set(name, item)
  }
  return sorted([...state])
}

function sorted(entries: [string, unknown][]): [string, unknown][] {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
}

const entriesOf = (state: object): [string, unknown][] => sorted(Object.entries(state))

describe('the fold of state', () => {
  it('does not depend on how events are split into appends, or on when the state is read', async () => {
    await using test = await createTestKernel({ config: { state: { snapshotEvery: 3 } } })
    const events = test.kernel.port('events')
    let run = 0
    await fc.assert(
      fc.asyncProperty(
        operations,
        fc.infiniteStream(fc.nat(4)),
        fc.infiniteStream(fc.boolean()),
        async (list, sizes, looks) => {
          const runId = `run-${run++}`
          for (let at = 0; at < list.length;) {
            const size = sizes.next().value + 1
            await events.append(runId, list.slice(at, at + size).map(toEvent))
            at += size
            if (looks.next().value) await test.kernel.state(runId)
          }
          expect(entriesOf(await test.kernel.state(runId))).toEqual(model(list))
        },
      ),
    )
  })

  it('does not depend on how the events of several runs are interleaved', async () => {
    await using test = await createTestKernel()
    const events = test.kernel.port('events')
    let run = 0
    await fc.assert(
      fc.asyncProperty(operations, operations, fc.infiniteStream(fc.boolean()), async (one, other, turns) => {
        const lanes = [one, other].map((list) => ({ runId: `mixed-${run++}`, list, left: [...list] }))
        while (lanes.some(({ left }) => left.length > 0)) {
          const lane = lanes[turns.next().value ? 1 : 0]!
          const next = lane.left.shift()
          if (next) await events.append(lane.runId, [toEvent(next)])
        }
        for (const { runId, list } of lanes) expect(entriesOf(await test.kernel.state(runId))).toEqual(model(list))
      }),
    )
  })

  it('returns the state at every seq and every moment, with and without snapshots', async () => {
    await using test = await createTestKernel({ config: { state: { snapshotEvery: 4 } } })
    const events = test.kernel.port('events')
    let run = 0
    await fc.assert(
      fc.asyncProperty(operations, fc.boolean(), async (list, warm) => {
        const runId = `past-${run++}`
        const moments: number[] = []
        for (const one of list) {
          await test.advance(10)
          await events.append(runId, [toEvent(one)])
          moments.push(test.clock.now())
          if (warm) await test.kernel.state(runId)
        }
        for (let seq = 0; seq <= list.length; seq++) {
          const expected = model(list.slice(0, seq))
          expect(entriesOf(await test.kernel.state(runId, { at: seq }))).toEqual(expected)
          const moment = new Date(moments[seq - 1] ?? 0)
          expect(entriesOf(await test.kernel.state(runId, { at: moment }))).toEqual(expected)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('equals the live state of handlers when it is replayed', async () => {
    await using test = await createTestKernel()
    await test.kernel.registerWorker({
      id: 'operate',
      async handler(job, ctx) {
        const seen: unknown[] = []
        for (const one of job.data as Operation[]) {
          if ('set' in one) await ctx.state.set(one.set, one.value)
          else if ('remove' in one) await ctx.state.delete(one.remove)
          else await ctx.state.setBatch(Object.fromEntries(one.batch))
          seen.push(entriesOf(await ctx.state.getAll()))
        }
        return seen
      },
    })
    await fc.assert(
      fc.asyncProperty(operations, async (list) => {
        const job = await test.kernel.enqueue('operate', list)
        const seen = (await test.kernel.result(job)) as unknown[]
        expect(seen).toEqual(list.map((_one, index) => model(list.slice(0, index + 1))))
        expect(entriesOf(await test.kernel.state(job.runId))).toEqual(model(list))
      }),
      { numRuns: 50 },
    )
  })

  it('counts every update, for any number of simultaneous updates', async () => {
    await using test = await createTestKernel({
      workers: {
        fan: {
          config: { flow: { name: 'count', role: 'entry' } },
          handler: async (_job, ctx) => {
            for (let n = 0; n < 20; n++) await ctx.flow.emit('number', n)
          },
        },
        add: {
          config: { concurrency: 20, flow: { name: 'count', role: 'step', subscribes: 'number' } },
          handler: (job, ctx) =>
            ctx.state.update('sum', async (sum) => (await Promise.resolve(), Number(sum ?? 0) + Number(job.data))),
        },
      },
    })
    const run = await test.kernel.flow('count').start()
    await test.kernel.flow('count').result(run.runId)
    expect(await test.kernel.state(run.runId)).toEqual({ sum: 190 })
  })
})
