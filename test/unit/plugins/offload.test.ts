import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'pathe'
import { expect, it } from 'vitest'
import type { EventStore, Job, QueueProvider, RunContext } from '../../../kernel/index.ts'
import type { OffloadStorage } from '../../../plugins/context/offload/index.ts'
import { createTestKernel, type TestKernelOptions } from '../../../testing/index.ts'
import { newFolder } from './file/rig.ts'

const large = (text: string): string => text.padEnd(5000, '.')

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

function create(storage: string | OffloadStorage, workers: TestKernelOptions['workers'], config = {}) {
  const offload = { storage, threshold: 4000, sweepInterval: 60_000, minAge: 60_000 }
  return createTestKernel({ workers, config: { offload, ...config } })
}

/** An object storage in memory. */
function createObjects(): OffloadStorage & { items: Map<string, Uint8Array> } {
  const items = new Map<string, Uint8Array>()
  return {
    items,
    setItemRaw: async (key, value) => void items.set(key, value),
    getItemRaw: async (key) => items.get(key) ?? null,
    removeItem: async (key) => void items.delete(key),
    getKeys: async () => [...items.keys()],
  }
}

const workers = {
  async w({ data }: Job, ctx: RunContext) {
    await ctx.state.set('key', large('state'))
    void ctx.logger.info(large('log'))
    void ctx.logger.info('small log')
    return { data, result: large('result') }
  },
  f: () => Promise.reject(new Error(large('error'))),
}

it.each([false, true])('keeps large values in a folder, small ones in the store, encrypted: %s', async (encrypted) => {
  const folder = newFolder()
  await using test = await create(folder, workers, encrypted ? { encryption: { keys: { a: 'ab'.repeat(32) } } } : {})
  const { kernel } = test
  // Larger than `payloadLimit`: only the reference counts.
  const data = { at: new Date(0), text: 'data'.padEnd(2_000_000, '.') }
  const job = await kernel.enqueue('w', data)
  const failed = await kernel.enqueue('f', 'small data')
  await test.drain()
  expect(await job.result()).toEqual({ data, result: large('result') })
  expect(await kernel.state(job.runId)).toEqual({ key: large('state') })
  expect(await kernel.port('queue').getJob('default', job.id)).toMatchObject({ data, state: 'completed' })
  expect(await kernel.port('queue').getJob('default', failed.id)).toMatchObject({
    data: 'small data',
    error: { name: 'Error', message: large('error') },
  })
  const logs = (await test.events(job.runId)).filter(({ type }) => type === 'runner.log')
  expect(logs.map((event) => (event.data as { message: string }).message)).toEqual([large('log'), 'small log'])

  const { raw, log } = stores(kernel.port('queue'), kernel.port('events'), encrypted)
  const stored = JSON.stringify([await raw.getJobs({}), await log.read(job.runId), await log.read(failed.runId)])
  expect(stored.length).toBeLessThan(10_000)
  const files = filesIn(folder).map((file) => readFileSync(file, 'utf8'))
  expect(files.length).toBeGreaterThan(5)
  expect(files.some((text) => text.includes('state...'))).toBe(!encrypted)
})

/** Returns the stores inside the wrappers. */
function stores(queue: QueueProvider, events: EventStore, encrypted: boolean) {
  const unwrap = <T extends object>(port: T): T => Object.getPrototypeOf(port) as T
  return encrypted
    ? { raw: unwrap(unwrap(queue)), log: unwrap(unwrap(events)) }
    : { raw: unwrap(queue), log: unwrap(events) }
}

it('removes values together with their run, and values that an interrupted write has left', async () => {
  const storage = createObjects()
  await using test = await create(storage, workers, {
    retention: { completed: { age: 300_000 }, failed: { age: 3_600_000 }, sweepInterval: 10_000 },
  })
  const { kernel } = test
  await storage.setItemRaw(`${Buffer.from('orphan').toString('hex')}:0-${crypto.randomUUID()}`, new Uint8Array(1))
  await storage.setItemRaw('somebody:else', new Uint8Array(1))
  await kernel.port('queue').pause('default')
  const waits = await kernel.enqueue('w', large('waits'), { delay: 86_400_000 })
  await kernel.port('queue').resume('default')
  await kernel.enqueue('w', large('data'))
  await kernel.enqueue('f', large('data'))
  await test.advance('3m')
  const runs = (): string[] =>
    [...new Set([...storage.items.keys()].map((key) => key.split(':')[0]!))].map((name) =>
      /^[\da-f]+$/.test(name) ? Buffer.from(name, 'hex').toString() : name,
    )
  expect(runs().toSorted()).toEqual(['id-1', 'id-2', 'id-3', 'somebody'])
  await test.advance('10m')
  expect(runs().toSorted()).toEqual([waits.runId, 'id-3', 'somebody'])
  await test.advance('2h')
  expect(runs().toSorted()).toEqual([waits.runId, 'somebody'])
})

it('keeps the values of jobs in queues of plugins that have not begun', async () => {
  const storage = createObjects()
  const received: unknown[] = []
  const onFailure = ({ job }: { job: { data?: unknown } }): void => void received.push(job.data)
  await using test = await create(
    storage,
    { w: { config: { queue: 'w', onFailure }, handler: () => Promise.reject(new Error('fails')) } },
    { retention: { failed: { age: 60_000 }, sweepInterval: 10_000 } },
  )
  const queue = test.kernel.port('queue')
  await queue.pause('_failures/w')
  await test.kernel.enqueue('w', large('data'))
  await test.advance('10m')
  expect(storage.items.size).toBe(1)
  await queue.resume('_failures/w')
  await test.drain()
  expect(received).toEqual([large('data')])
})

it('fails a job whose value is missing or changed, without running it, and shows why', async () => {
  const storage = createObjects()
  const ran: unknown[] = []
  await using test = await create(storage, {
    w: { config: { queue: 'w', attempts: 3 }, handler: (job: Job) => void ran.push(job.id) },
  })
  const { kernel } = test
  await kernel.port('queue').pause('w')
  const gone = await kernel.enqueue('w', large('gone'))
  const changed = await kernel.enqueue('w', large('changed'))
  const [first, second] = [...storage.items.keys()]
  storage.items.delete(first!)
  storage.items.set(second!, storage.items.get(second!)!.slice(1))
  await kernel.port('queue').resume('w')
  await test.drain()
  for (const { id } of [gone, changed]) {
    expect(await kernel.port('queue').getJob('w', id)).toMatchObject({
      state: 'failed',
      data: expect.stringMatching(/^\[not available: .*storage/) as string,
      error: { code: 'OFFLOAD_MISSING' },
    })
  }
  expect(ran).toEqual([])
})

it('uses up no attempt while the storage is away', async () => {
  const objects = createObjects()
  let away = false
  const storage: OffloadStorage = {
    ...objects,
    setItemRaw: (key, value) => (away ? Promise.reject(new Error('away')) : objects.setItemRaw(key, value)),
    getItemRaw: (key) => (away ? Promise.reject(new Error('away')) : objects.getItemRaw(key)),
  }
  await using test = await create(storage, {
    w: { config: { queue: 'w' }, handler: ({ data }: Job) => (data as string).length },
  })
  const { kernel } = test
  await kernel.port('queue').pause('w')
  const job = await kernel.enqueue('w', large('data'))
  away = true
  await kernel.port('queue').resume('w')
  await expect(kernel.enqueue('w', large('data'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await test.advance('1m')
  expect(await kernel.port('queue').getJob('w', job.id)).toMatchObject({
    attemptsMade: 0,
    crashes: 0,
    state: 'delayed',
  })
  away = false
  await test.advance('1m')
  expect(await kernel.port('queue').getJob('w', job.id)).toMatchObject({ state: 'completed', result: 5000 })
})

it('keeps the order of appends and deliveries, however long an upload takes', async () => {
  const objects = createObjects()
  const uploads: (() => void)[] = []
  const storage: OffloadStorage = {
    ...objects,
    async setItemRaw(key, value) {
      await new Promise<void>((resolve) => uploads.push(resolve))
      await objects.setItemRaw(key, value)
    },
  }
  await using test = await create(storage, {})
  const events = test.kernel.port('events')
  const heard: unknown[] = []
  const stop = await events.subscribe('run', {}, (stored) => heard.push(...stored.map(({ data }) => data)))
  const appended = [large('a'), 'b', large('c'), 'd'].map(async (data) =>
    events.append('run', [{ type: 'mine', data }]),
  )
  await expect.poll(() => uploads.length).toBe(2)
  uploads[1]!()
  uploads[0]!()
  await Promise.all(appended)
  const data = [large('a'), 'b', large('c'), 'd']
  expect((await events.read('run')).map((event) => event.data)).toEqual(data)
  await expect.poll(() => heard).toEqual(data)
  stop()
})

it('refuses a text that readers would take for a reference', async () => {
  await using test = await create(newFolder(), { w: () => null })
  await expect(test.kernel.enqueue('w', 'nqo1.aa:0-0.1.x')).rejects.toMatchObject({ code: 'VALUE_UNSUPPORTED' })
})

it.each([{ storage: { getKeys: () => [] } }, { storage: 'x', threshold: 10 }])(
  'refuses the options %j',
  async (offload) => {
    await expect(createTestKernel({ config: { offload: offload as never } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  },
)
