import { expect, it, vi } from 'vitest'
import { createKernel, definePlugin, QueueError, type Diagnosis } from '../../../index.ts'
import { createKernel as createBareKernel } from '../../../kernel/index.ts'
import eventsMemory from '../../../plugins/adapters/memory/events/index.ts'
import queueMemory from '../../../plugins/adapters/memory/queue/index.ts'
import type { Host } from '../../../plugins/integrations/cli/backend.ts'
import { main } from '../../../plugins/integrations/cli/main.ts'
import doctor from '../../../plugins/observability/doctor/index.ts'
import { createTestKernel } from '../../../testing/index.ts'

const without = (found: readonly Diagnosis[], level: Diagnosis['level']): Diagnosis[] =>
  found.filter((one) => one.level !== level)

it('finds no problem in a healthy system, and lists its checks', async () => {
  await using test = await createTestKernel({ workers: { mail: () => 1 } })
  await test.kernel.enqueue('mail')
  await test.drain()
  const found = await test.kernel.diagnose()
  expect(without(found, 'ok').map(({ check }) => check)).toEqual(['instances'])
  expect(found.map(({ check }) => check)).toEqual([
    ...['store.queue', 'store.events', 'handlers', 'memory', 'instances', 'queues', 'flows', 'streams'],
  ])
})

it('finds stalled queues, jobs without a worker, dead letters, removed steps, and checks that fail or time out', async () => {
  const checks = definePlugin({
    name: 'checks',
    setup(kernel) {
      kernel.declareStreams!({ names: () => ['short', 'long'], keep: 1000 })
      kernel.addDiagnosis!('slow', () => new Promise(() => {}))
      kernel.addDiagnosis!('broken', () => {
        throw new Error('redis://ada:hunter2@db is down')
      })
    },
  })
  const fail = (): never => {
    throw new Error('no')
  }
  const workers = {
    stands: { config: { queue: 'stands' }, handler: () => 1 },
    pay: { config: { deadLetter: 'dead' }, handler: fail },
    first: { config: { flow: { name: 'order', role: 'entry', emits: ['placed'] } }, handler: () => 1 },
  } as const
  const config = { http: { production: true } }
  await using test = await createTestKernel({ workers, plugins: [checks], config })
  const { kernel } = test
  await kernel.port('queue').pause('stands')
  await kernel.enqueue('stands')
  const started = { type: 'flow.started', key: 'flow.started', flow: 'order', stepId: 'run.first' }
  const history = [
    { ...started, data: { step: 'first', input: 1, version: '1' } },
    { type: 'step.queued', flow: 'order', step: 'ship', stepId: 'run.ship', data: {} },
  ]
  await kernel.port('events').append('run', history, { run: { name: 'order', flow: 'order' } })
  for (const [stream, events] of [
    ['short', 2000],
    ['long', 2001],
  ] as const) {
    await kernel.emit(
      stream,
      Array.from({ length: events }, () => ({ type: 'noted' })),
    )
  }
  await kernel.enqueue('pay')
  await kernel.enqueue({ queue: 'nobody', name: 'nobody' })
  await test.drain()
  const diagnosing = kernel.diagnose()
  await test.advance('5s')
  const found = without(await diagnosing, 'ok').filter(({ check }) => check !== 'instances')
  expect(found.map(({ check, level }) => `${level} ${check}`).toSorted()).toEqual([
    ...['problem broken', 'problem flows.steps', 'problem queues.workers', 'problem slow'],
    ...['warning http.token', 'warning queues.dead-letters', 'warning queues.paused', 'warning streams'],
  ])
  expect(found.every(({ hint }) => hint !== undefined)).toBe(true)
  const text = JSON.stringify(found)
  expect(text).toContain('redis://***@db is down')
  expect(text).toContain('5000 ms')
  expect(text).toContain('long')
  expect(text).toMatch(/\\"order\\" need step \\"ship\\"/)

  Object.assign(kernel.port('events'), {
    checkHealth: () => Promise.reject(new QueueError('STORE_UNAVAILABLE', 'The disk is full.')),
  })
  const away = await kernel.diagnose()
  expect(without(away, 'ok')).toMatchObject([{ check: 'store.events', level: 'problem', message: 'The disk is full.' }])
  expect(away).toHaveLength(3)
})

it('checks the streams of every plugin, and requires none of the plugins', async () => {
  const config = { triggers: { bell: { type: 'manual', worker: 'mail' } } } as const
  const cron = { schedule: { every: 60_000 } }
  await using test = await createTestKernel({ workers: { mail: { config: cron, handler: () => 1 } }, config })
  const message = (await test.kernel.diagnose()).find(({ check }) => check === 'streams')?.message
  const shared = ['registry', '_audit', '_audit.sent', '_errors', '_bulk', '_schedules', '_triggers', '_pauses']
  const others = ['_stats.10s', '_stats.1m', '_stats.1h']
  const own = ['trigger:bell', '_rejected:bell', 'schedule:mail']
  expect(message).toContain(`None of the ${[...shared, ...others, ...own].length} streams`)

  const kernel = await createBareKernel({
    plugins: [doctor, queueMemory, eventsMemory],
    reporter: { warn() {}, error() {} },
  })
  expect((await kernel.diagnose()).filter(({ level }) => level === 'problem')).toEqual([])
  await kernel.close()
})

it('exits with 1 for problems, with --strict also for warnings, and if the system cannot be opened', async () => {
  let kernels = 0
  const host = (config: object, failure?: Error): Host => ({
    createKernel: async ({ reporter }) => {
      if (failure) throw failure
      kernels++
      const kernel = await createKernel({ preset: 'dev', config: { registry: { dirs: [] } }, reporter })
      const capabilities = { ...kernel.port('queue').capabilities, durable: true }
      Object.assign(kernel.port('queue'), { capabilities })
      return kernel
    },
    loadQueueConfig: async () => ({ ...config }),
    memory: () => Promise.reject(new Error('not needed')),
  })
  async function run(args: string[], failure?: Error): Promise<{ code: number; text: string }> {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    try {
      const code = await main(['doctor', '--cwd', import.meta.dirname, ...args], host({}, failure), '0')
      return { code, text: write.mock.calls.map(([chunk]) => String(chunk)).join('') }
    } finally {
      write.mockRestore()
    }
  }
  const plain = await run([])
  expect(plain.code).toBe(0)
  expect(plain.text).toMatch(
    /No process that runs workers is known.*\n.*nuxt-queue start\n[^]*0 problems, 1 warning\.\n$/,
  )
  const strict = await run(['--strict', '--json'])
  expect(strict.code).toBe(1)
  expect((JSON.parse(strict.text) as Diagnosis[]).some(({ level }) => level === 'warning')).toBe(true)
  const away = await run(['--json'], new QueueError('STORE_UNAVAILABLE', 'Redis did not respond.'))
  expect(away.code).toBe(1)
  expect(JSON.parse(away.text)).toEqual([
    { check: 'STORE_UNAVAILABLE', level: 'problem', message: 'Redis did not respond.' },
  ])
  expect(kernels).toBe(2)
})
