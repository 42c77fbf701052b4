import { expect, it } from 'vitest'
import { errorOf } from '../harness.ts'
import { SUPPORTED_VALUES } from '../travels.ts'
import { completed, type QueueTest } from './rig.ts'

class Money {
  amount = 1
}

const cycle: Record<string, unknown> = {}
cycle.self = { again: cycle }

/** Rejected values, by description, with the path of the rejected part. */
const REJECTED: readonly [what: string, data: unknown, path: string[]][] = [
  ['a function', () => {}, []],
  ['a function inside', { on: { click() {} } }, ['on', 'click']],
  ['a symbol', { list: [1, Symbol('s')] }, ['list', '1']],
  ['a Map', { map: new Map() }, ['map']],
  ['a Set', [new Set()], ['0']],
  ['a class instance', { price: new Money() }, ['price']],
  ['an Error', { error: new Error('boom') }, ['error']],
]

/** Tests that data is returned unchanged, and that no caller shares objects with the store. */
export function dataTests(test: QueueTest): void {
  for (const [what, data] of Object.entries(SUPPORTED_VALUES)) {
    it(
      `passes ${what} to the worker, stores it in the record, and returns it as a result`,
      test(async ({ add, work, reach, get }) => {
        await add({ id: 'a', data })
        expect((await get('a')).data).toStrictEqual(data)
        const claims = await work(({ job }) => completed(job.data))
        const { result, data: kept } = await reach('a', 'completed')
        expect(claims[0]?.job.data).toStrictEqual(data)
        expect(result).toStrictEqual(data)
        expect(kept).toStrictEqual(data)
      }),
    )
  }

  it(
    'passes headers to the worker and stores them in the record, without a member if there are none',
    test(async ({ add, work, reach, get }) => {
      const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', nq: 'ü"', empty: '' }
      await add({ id: 'a', headers })
      await add({ id: 'bare' })
      expect((await get('a')).headers).toStrictEqual(headers)
      const claims = await work(() => completed())
      await reach('bare', 'completed')
      expect(claims.map(({ job }) => job.headers)).toStrictEqual([headers, undefined])
      expect((await reach('a', 'completed')).headers).toStrictEqual(headers)
    }),
  )

  it(
    'passes a Buffer as its bytes',
    test(async ({ add, get }) => {
      await add({ id: 'a', data: { file: Buffer.from('hello').subarray(1, 3) } })
      expect((await get('a')).data).toStrictEqual({ file: new Uint8Array([101, 108]) })
    }),
  )

  for (const [what, data, path] of REJECTED) {
    it(
      `rejects ${what} with its path`,
      test(async ({ queue, draft }) => {
        const error = await errorOf(() => queue.enqueue(draft({ data })))
        expect(error).toMatchObject({ code: 'VALUE_UNSUPPORTED', details: { path } })
        expect(await queue.getJobs()).toEqual([])
      }),
    )
  }

  it(
    'rejects a cycle',
    test(async ({ queue, draft }) => {
      const error = await errorOf(() => queue.enqueue(draft({ data: cycle })))
      expect(error?.code).toBe('VALUE_UNSUPPORTED')
      expect(error?.details?.path).toEqual(expect.arrayContaining(['self', 'again']))
    }),
  )

  it(
    'rejects data larger than the payload limit, independent of its structure',
    test(async ({ queue, draft }) => {
      const size = 2 * 1024 * 1024
      const payloads = ['x'.repeat(size), { text: 'x'.repeat(size) }, new Uint8Array(size), Array(size).fill(1)]
      for (const data of payloads) {
        expect((await errorOf(() => queue.enqueue(draft({ data }))))?.code).toBe('PAYLOAD_TOO_LARGE')
      }
      expect(await queue.getJobs()).toEqual([])
    }),
  )

  it(
    'keeps a job independent of later changes to its data and options',
    test(async ({ queue, draft, get }) => {
      const data = { list: [1], at: new Date(0), bytes: new Uint8Array([1]) }
      const backoff = { type: 'fixed' as const, delay: 10 }
      const options = { attempts: 2, backoff }
      await queue.enqueue(draft({ id: 'a', data, options }))
      data.list.push(2)
      data.at.setTime(99)
      data.bytes[0] = 9
      backoff.delay = 99
      options.attempts = 99
      const job = await get('a')
      expect(job.data).toStrictEqual({ list: [1], at: new Date(0), bytes: new Uint8Array([1]) })
      expect(job.options).toEqual({ attempts: 2, backoff: { type: 'fixed', delay: 10 } })
    }),
  )

  it(
    'gives each claim its own copy of the data',
    test(async ({ add, work, reach, now }) => {
      const seen: unknown[] = []
      await work(({ job }) => {
        const data = job.data as { list: number[] }
        seen.push(structuredClone(data))
        data.list.push(2)
        return job.claims === 1 ? { type: 'defer', runAt: now() } : completed(data)
      })
      await add({ id: 'a', data: { list: [1] } })
      const job = await reach('a', 'completed')
      expect(seen).toEqual([{ list: [1] }, { list: [1] }])
      expect(job).toMatchObject({ data: { list: [1] }, result: { list: [1, 2] } })
    }),
  )

  it(
    'keeps a job independent of changes to the records it returns',
    test(async ({ queue, add, get, work, reach }) => {
      const result = { list: [1] }
      await work(() => completed(result))
      await add({ id: 'a', data: { list: [1] } })
      await reach('a', 'completed')
      result.list.push(2)
      const first = await get('a')
      const [listed] = await queue.getJobs()
      for (const job of [first, listed!]) {
        ;(job.data as { list: number[] }).list.push(3)
        ;(job.result as { list: number[] }).list.push(3)
        job.state = 'failed'
      }
      expect(await get('a')).toMatchObject({ data: { list: [1] }, result: { list: [1] }, state: 'completed' })
    }),
  )

  const NAMES = ['__proto__', 'constructor', 'toString', 'ünï😀', 'a:b/c d\\e', '%s ${x} {y}', '..', 'x'.repeat(200)]
  for (const name of NAMES) {
    it(
      `takes "${name.slice(0, 20)}" as the name of a queue, a worker and a job`,
      test(async ({ queue, workers, add, work, reach, heard }) => {
        const claims = await work(() => completed(name), { queue: name, name })
        expect(await add({ id: name, queue: name, name, runId: name })).toMatchObject({ id: name, runId: name })
        expect(await add({ id: name, queue: name, name })).toMatchObject({ deduplicated: true })
        expect(await reach(name, 'completed', name)).toMatchObject({ id: name, queue: name, name, runId: name })
        expect(claims).toHaveLength(1)
        expect(await queue.getQueues()).toEqual([name])
        expect(await queue.getJobs({ queue: name, name, runId: name })).toHaveLength(1)
        expect((await queue.getJobCounts(name)).completed).toBe(1)
        expect(heard.every((one) => one.queue === name && one.id === name)).toBe(true)
        await workers.unregisterWorker(name, name)
        expect(await queue.remove(name, name)).toBe(true)
        expect(await queue.getQueues()).toEqual([])
      }),
    )
  }
}
