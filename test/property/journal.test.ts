import { cpSync, readdirSync, statSync, truncateSync } from 'node:fs'
import fc from 'fast-check'
import type { Kernel } from 'nuxt-queue/kernel'
import { join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { contentsOf, newFolder, openFolder } from '../unit/plugins/file/rig.ts'

type Step = (kernel: Kernel) => unknown

const id = fc.constantFrom('a', 'b', 'c', 'd')
const queueOf = (kernel: Kernel) => kernel.port('queue')
const eventsOf = (kernel: Kernel) => kernel.port('events')

/** One change of the stored data. Rejected ones change nothing. */
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(id, fc.nat(50), fc.integer({ min: -1, max: 1 })).map(
    ([one, delay, priority]): Step =>
      (kernel) =>
        kernel.enqueue(
          { queue: 'work', name: 'work' },
          { one, at: new Date(7) },
          { id: one, delay, priority, attempts: 2 },
        ),
  ),
  id.map(
    (one): Step =>
      (kernel) =>
        queueOf(kernel).cancel('work', one),
  ),
  id.map(
    (one): Step =>
      (kernel) =>
        queueOf(kernel).retry('work', one),
  ),
  id.map(
    (one): Step =>
      (kernel) =>
        queueOf(kernel).remove('work', one),
  ),
  id.map(
    (one): Step =>
      (kernel) =>
        queueOf(kernel).promote('work', one),
  ),
  fc.boolean().map(
    (paused): Step =>
      (kernel) =>
        queueOf(kernel)[paused ? 'pause' : 'resume']('work'),
  ),
  fc.nat(2).map(
    (keep): Step =>
      (kernel) =>
        queueOf(kernel).clean({ outcome: 'completed', endedBefore: 0, keep }),
  ),
  fc.tuple(id, fc.option(id), fc.nat(3), fc.constantFrom(undefined, 'running' as const, 'failed' as const)).map(
    ([stream, key, token, status]): Step =>
      (kernel) =>
        eventsOf(kernel).append(stream, [{ type: 'one', key: key ?? undefined, data: [1n] }, { type: 'two' }], {
          fence: { job: 'j', token },
          run: status && { status, name: stream },
        }),
  ),
  id.map((stream): Step => async (kernel) => {
    const seq = await eventsOf(kernel).head(stream)
    await eventsOf(kernel).snapshots.put(stream, { reducer: 'r', seq, state: { seq } })
  }),
  fc.tuple(id, fc.nat(4)).map(
    ([stream, seq]): Step =>
      (kernel) =>
        eventsOf(kernel).trim(stream, seq),
  ),
  fc.nat(2).map(
    (keep): Step =>
      (kernel) =>
        eventsOf(kernel).expire({ outcome: 'failed', endedBefore: 0, keep }),
  ),
)

const workers = {
  work: {
    config: { queue: 'work' },
    handler: ({ attempt, createdAt }: { attempt: number; createdAt: number }) => {
      if ((createdAt + attempt) % 3 === 0) throw new Error('by chance')
      return attempt
    },
  },
}

async function apply(kernel: Kernel, steps: readonly Step[]): Promise<void> {
  for (const one of steps) {
    await (async () => one(kernel))().catch(() => {})
  }
}

/** Returns the hidden data that decides whether later appends are rejected. */
async function refusals(kernel: Kernel): Promise<unknown[]> {
  const answers: unknown[] = []
  for (const stream of ['a', 'b', 'c', 'd']) {
    for (const unless of ['a', 'b', 'c', 'd']) {
      answers.push(await eventsOf(kernel).append(stream, [], { unless, expectedSeq: -1, reopen: true }))
    }
    for (const token of [0, 1, 2, 3]) {
      answers.push(await eventsOf(kernel).append(stream, [], { fence: { job: 'j', token }, expectedSeq: -1 }))
    }
  }
  return answers
}

describe('a folder of journals', () => {
  it('gives a later process all data of an earlier process, even after compactions', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        async (steps, compactAfter) => {
          const folder = newFolder()
          const first = await openFolder(folder, { compactAfter }, { workers })
          await apply(first.kernel, steps)
          await first.advance(20)
          const before = [await contentsOf(first.kernel), await refusals(first.kernel)]
          const now = first.clock.now()
          await first.close()
          await using second = await openFolder(folder, {}, { now })
          expect(second.reports).toEqual([])
          expect([await contentsOf(second.kernel), await refusals(second.kernel)]).toEqual(before)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('keeps all earlier entries when it is cut at any position', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (steps, share) => {
          const folder = newFolder()
          await using test = await openFolder(folder)
          const seen: { sizes: Record<string, number>; contents: unknown }[] = []
          for (const one of steps) {
            await apply(test.kernel, [one])
            seen.push({ sizes: sizesOf(folder), contents: await eventsIn(test.kernel) })
          }
          const copy = newFolder()
          cpSync(folder, copy, { recursive: true, filter: (name) => !name.endsWith('lock') })
          const size = seen.at(-1)!.sizes['events.jsonl']!
          const cut = Math.floor(share * size)
          truncateSync(join(copy, 'events.jsonl'), cut)
          await using after = await openFolder(copy)
          const last = seen.findLast(({ sizes }) => sizes['events.jsonl']! <= cut)
          expect(await eventsIn(after.kernel)).toEqual(
            last?.contents ?? (await eventsIn((await openFolder(newFolder())).kernel)),
          )
        },
      ),
      { numRuns: 40 },
    )
  })
})

async function eventsIn(kernel: Kernel): Promise<unknown> {
  const { runs, events } = (await contentsOf(kernel)) as { runs: unknown; events: unknown }
  return { runs, events }
}

function sizesOf(folder: string): Record<string, number> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
  return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).size]))
}
