import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createGroupCommit } from '../../../plugins/adapters/lib/group-commit.ts'

describe('group commit', () => {
  it('fails only the invalid calls, at any position, and keeps the order of the others', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), async (faults) => {
        const stored: number[] = []
        const group = createGroupCommit<number, number>({
          async commit(items) {
            await Promise.resolve()
            const bad = items.find((item) => faults[item])
            if (bad !== undefined) throw new Error(`refused ${bad}`)
            stored.push(...items)
            return items.map((item) => 2 * item)
          },
          splitOn: (error) => (error as Error).message.startsWith('refused'),
        })
        const settled = await Promise.allSettled(faults.map((_, index) => group.push(index)))
        const told = settled.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)))
        expect(told).toEqual(faults.map((bad, index) => (bad ? `Error: refused ${index}` : 2 * index)))
        expect(stored).toEqual(faults.flatMap((bad, index) => (bad ? [] : [index])))
      }),
      { numRuns: 100 },
    )
  })

  it('sends a group once when its error is not one of a member', async () => {
    let commits = 0
    const group = createGroupCommit<number, number>({
      commit() {
        commits++
        return Promise.reject(new Error('away'))
      },
      splitOn: () => false,
    })
    const settled = await Promise.allSettled([1, 2, 3].map((item) => group.push(item)))
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(commits).toBe(1)
  })

  it('sends at most the configured number of groups at once, each within its limits', async () => {
    const sent: number[][] = []
    const gate = Promise.withResolvers<void>()
    const group = createGroupCommit<number, number>({
      async commit(items) {
        sent.push(items)
        await gate.promise
        return items
      },
      ...{ parallel: 3, soon: true, maxItems: 2, maxBytes: 10, sizeOf: (item) => item },
    })
    const calls = Promise.all([1, 2, 9, 9, 3, 4, 5].map((item) => group.push(item)))
    await new Promise(process.nextTick)
    expect(sent).toEqual([[1, 2], [9], [9]])
    gate.resolve()
    expect(await calls).toEqual([1, 2, 9, 9, 3, 4, 5])
    expect(sent.slice(3)).toEqual([[3, 4], [5]])
  })

  it('keeps the items of a key together where a group ends, within the limit of bytes, and in order', async () => {
    const sent: string[][] = []
    const group = createGroupCommit<string, string>({
      async commit(items) {
        sent.push(items)
        return items
      },
      ...{ soon: true, maxItems: 2, maxBytes: 8, keyOf: ([key = '']: string) => key, sizeOf: ({ length }) => length },
    })
    const items = ['a1', 'b1', 'c1', 'a2', 'c2', 'b2', 'b3', 'a3']
    expect(await Promise.all(items.map((item) => group.push(item)))).toEqual(items)
    expect(sent).toEqual([['a1', 'b1', 'a2', 'b2'], ['c1', 'c2', 'b3'], ['a3']])
  })

  it('loses no item and keeps the order of each key, whatever comes together', async () => {
    const item = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), size: fc.integer({ min: 0, max: 9 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 60 }), async (items) => {
        const stored: typeof items = []
        const group = createGroupCommit<(typeof items)[number], number>({
          async commit(some) {
            stored.push(...some)
            return some.map((one) => items.indexOf(one))
          },
          ...{ maxItems: 2, maxBytes: 20, keyOf: ({ key }) => key, sizeOf: ({ size }) => size },
        })
        expect(await Promise.all(items.map((one) => group.push(one)))).toEqual(items.map((_, index) => index))
        for (const key of 'abcde') {
          const ofKey = (all: typeof items) => all.filter((one) => one.key === key)
          expect(ofKey(stored)).toEqual(ofKey(items))
        }
      }),
      { numRuns: 100 },
    )
  })
})
