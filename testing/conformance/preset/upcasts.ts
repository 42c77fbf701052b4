import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { expect, it } from 'vitest'
import type { StoredEvent } from '../../../kernel/index.ts'
import { readHistory } from '../../../plugins/observability/lib/history.ts'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Upcasts the state key `city` of an older version to the current key `address`. */
function address(event: StoredEvent) {
  const { key, value } = event.data as { key: string; value: unknown }
  return key === 'city' ? { ...event, data: { key: 'address', value: { city: value } } } : event
}

const split = (event: StoredEvent) =>
  (event.data as string[]).map((value) => ({ ...event, type: 'state.set', data: { key: value, value: true } }))

/** Tests events that older versions of an application have written. */
export function upcastTests(test: PresetTest): void {
  const old = [
    { type: 'state.set', data: { key: 'city', value: 'Ulm' } },
    { type: 'flags', data: ['a', 'b'] },
    { type: 'state.set', data: { key: 'n', value: 1 } },
    { type: 'state.delete', data: { key: 'n' } },
  ]

  it(
    'upcasts the events of an older version before it folds them',
    test(
      async ({ kernel }) => {
        await kernel.registerWorker({ id: 'w', config: { upcast: { 'state.delete': () => undefined } } })
        await kernel.port('events').append('old', old, { run: { name: 'old' } })
        const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
        try {
          const file = join(folder, 'old.jsonl')
          const { events } = await kernel.exportRun('old', file)
          expect(events).toMatchObject(old)
          const history = await readHistory(file)
          await kernel.port('events').append('copy', history.events, { run: { name: 'copy' } })
        } finally {
          await rm(folder, { recursive: true })
        }
        expect(await kernel.state('copy')).toEqual({ address: { city: 'Ulm' }, a: true, b: true, n: 1 })
        expect(await kernel.state('copy', { at: 1 })).toEqual({ address: { city: 'Ulm' } })
        expect(await kernel.port('events').read('copy')).toMatchObject(old)
      },
      { upcast: { 'state.set': address, flags: split } },
    ),
  )

  it(
    'ignores snapshots and folded state of another set of upcasters',
    test(
      async ({ kernel, start, reach }) => {
        await start({
          reads: ({ data }, ctx) => ctx.kernel.state(String(data)),
        })
        await kernel.port('events').append('old', old, { run: { name: 'old' } })
        expect(await kernel.state('old')).toEqual({ city: 'Ulm' })
        const upcast = { 'state.set': address, flags: split }
        await kernel.registerWorker({ id: 'new', config: { queue: 'new', upcast }, handler: () => {} })
        const today = { address: { city: 'Ulm' }, a: true, b: true }
        expect(await kernel.state('old')).toEqual(today)
        expect(await kernel.state('old', { at: 3 })).toEqual({ ...today, n: 1 })
        expect((await reach(await kernel.enqueue('reads', 'old'), 'completed')).result).toEqual(today)
        await kernel.unregisterWorker('new')
        expect(await kernel.state('old')).toEqual({ city: 'Ulm' })
        await kernel.port('events').append('old', [{ type: 'state.set', data: { key: 'city', value: 'Bonn' } }])
        expect(await kernel.state('old')).toEqual({ city: 'Bonn' })
      },
      { state: { snapshotEvery: 2 } },
    ),
  )

  it(
    'passes upcast events to timelines and reducers',
    test(
      async ({ kernel, start, reach }) => {
        const seen: string[] = []
        kernel.hook('reduce', ({ events }, next) => {
          seen.push(...events.map(({ type }) => type))
          return next()
        })
        await start({ work: (_job, ctx) => ctx.emit('noted', 'x') })
        const job = await kernel.enqueue('work')
        await reach(job, 'completed')
        expect((await kernel.timeline(job.runId)).jobs).toMatchObject([{ logs: { info: 1 } }])
        await kernel.state(job.runId)
        expect(seen).toEqual(['step.started', 'runner.log', 'step.completed'])
      },
      { upcast: { noted: (event: StoredEvent) => ({ ...event, type: 'runner.log', data: { level: 'info' } }) } },
    ),
  )

  it(
    'reports the mistakes of an upcaster',
    test(
      async ({ kernel }) => {
        for (const type of ['throws', 'promises', 'text']) {
          await kernel.emit(type, [{ type, data: 1 }], { run: { name: type } })
          expect(await codeOf(() => kernel.state(type)), type).toBe('UPCAST_FAILED')
        }
        const twice = { upcast: { text: () => undefined } }
        await kernel.registerWorker({ id: 'twice', config: twice, handler: () => {} })
        expect(await codeOf(() => kernel.start())).toBe('WORKER_INVALID')
      },
      {
        upcast: {
          throws: () => {
            throw new Error('broken')
          },
          promises: (async () => undefined) as never,
          text: (() => 'text') as never,
        },
      },
    ),
  )
}
