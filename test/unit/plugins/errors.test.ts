import { expect, it } from 'vitest'
import { definePlugin, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import { fingerprintOf, shapeOf } from '../../../plugins/observability/errors/fingerprint.ts'
import { applyErrorEvents, evict, type Groups } from '../../../plugins/observability/errors/groups.ts'
import { createErrorRecorder } from '../../../plugins/observability/errors/recorder.ts'
import { createErrorStore, STREAM } from '../../../plugins/observability/errors/store.ts'
import { errorOf } from '../../../testing/conformance/harness.ts'
import { createTestKernel } from '../../../testing/index.ts'

/** A kernel without failed jobs of its own, with the groups of two processes. */
async function rig() {
  const failing: { stored?: boolean } = {}
  let appends = 0
  let inner: PluginKernel | undefined
  const plugin = definePlugin({
    name: 'faults',
    setup(kernel) {
      inner = kernel
      kernel.hook('emit', async ({ stream }, next) => {
        if (stream === STREAM) appends++
        if (stream !== STREAM || failing.stored === undefined) return next()
        if (failing.stored) await next()
        throw new Error('the connection broke')
      })
    },
  })
  const test = await createTestKernel({ plugins: [plugin] })
  const instance = () => {
    const store = createErrorStore(inner!)
    return { store, recorder: createErrorRecorder(inner!, store) }
  }
  return { ...test, failing, appends: () => appends, instances: [instance(), instance()] as const }
}

const attempt = (id: string, worker = 'w'): RunContext =>
  ({ job: { id }, runId: `run-${id}`, worker: { id: worker, queue: { name: 'q' } } }) as RunContext
const failure = (message: string) => ({ name: 'Error', message })

it.each([
  ['connect ECONNREFUSED 127.0.0.1:5432', 'connect ECONNREFUSED …'],
  ["user 'ada' can't pay \"order 7\", but won't say why", "user … can't pay …, but won't say why"],
  ['no row 0b5f8f0e-6c1b-4a3f-9d2e-1f2a3b4c5d6e in orders', 'no row … in orders'],
  ['mail to ada@example.com took 1,203.5 ms (job V1StGXR8_Z5jdHi)', 'mail to … took … ms (job …)'],
])('a message without values: %s', (message, expected) => {
  expect(shapeOf({ name: 'Error', message }).message).toBe(expected)
})

it('the location of an error is the innermost frame of the application, independent of line and machine', () => {
  const node = (root: string, line: number) =>
    `Error: x\n    at Socket.<anonymous> (node:net:1:2)\n    at query (${root}/node_modules/pg/index.js:9:1)\n    at async pay (file://${root}/server/queues/pay.ts:${line}:7)\n    at main (${root}/main.ts:1:1)`
  const shapes = [node('/app', 3), node('/srv/other', 44)].map((stack) => shapeOf({ ...failure('x'), stack }))
  expect(shapes.map(({ frame }) => frame)).toEqual(['async pay (queues/pay.ts)', 'async pay (queues/pay.ts)'])
  const python = `Traceback (most recent call last):\n  File "/app/main.py", line 3, in run\n    pay()\n  File "/app/queues/pay.py", line 9, in pay\n    get()\n  File "/usr/lib/python3.11/site-packages/requests/api.py", line 1, in get\nValueError: x`
  expect(shapeOf({ ...failure('x'), stack: python }).frame).toBe('pay (queues/pay.py)')
  const bundled = 'Error: x\n    at pay (/app/.output/server/chunks/pay-B1x_9dQz.mjs:1:2)'
  expect(shapeOf({ ...failure('x'), stack: bundled }).frame).toBe('pay (chunks/pay.mjs)')
  expect(shapeOf(failure('x')).frame).toBeUndefined()
  const [first, second] = shapes as [(typeof shapes)[0], (typeof shapes)[0]]
  expect(fingerprintOf('q', 'w', first)).toBe(fingerprintOf('q', 'w', second))
  expect(fingerprintOf('q', 'other', first)).not.toBe(fingerprintOf('q', 'w', first))
})

it('a storm of failures costs one append a second, and errors beyond the maximum of groups are counted together', async () => {
  const test = await rig()
  const [{ recorder, store }] = test.instances
  for (let n = 0; n < 5000; n++) recorder.add(attempt(`job-${n}`), failure(`order ${n} is not paid`))
  const letters = (n: number): string => String(n).replaceAll(/\d/g, (digit) => 'abcdefghij'[Number(digit)]!)
  for (let n = 0; n < 500; n++) recorder.add(attempt(`kind-${n}`), failure(`strange ${letters(n)}`))
  expect(test.appends()).toBe(0)
  await test.advance('1s')
  expect(test.appends()).toBe(1)
  const groups = await store.all()
  expect(groups).toHaveLength(101)
  expect(groups.find(({ count }) => count === 5000)).toMatchObject({
    ...{ message: 'order … is not paid', queue: 'q', worker: 'w' },
    jobs: [{ id: 'job-4997' }, { id: 'job-4998' }, { id: 'job-4999' }].map(() => ({
      message: expect.any(String) as string,
    })),
  })
  expect(groups.find(({ worker }) => worker === '_rest')).toMatchObject({ queue: '_rest', count: 401 })
  await test.close()
  expect(test.clock.timers).toBe(0)
})

it('keeps its stream bounded while two processes append, and both see the same groups', async () => {
  const test = await rig()
  const [a, b] = test.instances
  for (let n = 0; n < 450; n++) {
    a.recorder.add(attempt(`a-${n}`), failure('first'))
    b.recorder.add(attempt(`b-${n}`), failure('second'))
    await Promise.all([a.recorder.flush(), b.recorder.flush()])
  }
  const trimmed = Number((await errorOf(() => test.kernel.port('events').read(STREAM)))?.details?.trimmed)
  expect(trimmed).toBeGreaterThan(700)
  const late = createErrorStore(test.kernel as PluginKernel)
  for (const { all } of [a.store, b.store, late]) {
    const counts = Object.fromEntries((await all()).map(({ message, count }) => [message, count]))
    expect(counts).toEqual({ first: 450, second: 450 })
  }
  await test.close()
})

it('counts failures once if their report was stored but reported as failed, and if it was not stored', async () => {
  const test = await rig()
  const [{ recorder, store }] = test.instances
  for (const stored of [true, false]) {
    test.failing.stored = stored
    recorder.add(attempt('1'), failure('broken'))
    await test.advance('1s')
    test.failing.stored = undefined
    await test.advance('1s')
  }
  expect(await store.all()).toMatchObject([{ count: 2 }])
  recorder.add(attempt('2'), failure('broken'))
  await recorder.close()
  expect(await store.all()).toMatchObject([{ count: 3 }])
  await test.close()
})

it('drops resolved and ignored groups first, and keeps ignored groups ignored', () => {
  const groups: Groups = new Map()
  let seq = 0
  const event = (type: string, data: object) => ({
    type,
    data,
    seq: ++seq,
    id: `_errors:${seq}`,
    runId: STREAM,
    ts: seq,
  })
  const seen = (fingerprint: string, at: number) =>
    event('errors.seen', {
      groups: [
        { ...failure('x'), fingerprint, queue: 'q', worker: 'w', count: 1, firstSeen: at, lastSeen: at, jobs: [] },
      ],
    })
  for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) applyErrorEvents(groups, [seen(name, index)])
  applyErrorEvents(groups, [event('errors.status', { fingerprint: 'c', status: 'ignored' })])
  applyErrorEvents(groups, [event('errors.status', { fingerprint: 'd', status: 'resolved' }), seen('c', 100)])
  expect(groups.get('c')).toMatchObject({ status: 'ignored', count: 2, regressed: false })
  evict(groups, 3)
  expect([...groups.keys()]).toEqual(['a', 'b', 'c'])
  evict(groups, 2)
  expect([...groups.keys()]).toEqual(['a', 'b'])
  evict(groups, 1)
  expect([...groups.keys()]).toEqual(['b'])
})
