import { createSecretKey, generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'pathe'
import { expect, it } from 'vitest'
import type { EventStore, Job, KernelConfig, QueueProvider, RunContext } from '../../../kernel/index.ts'
import alerts from '../../../plugins/observability/alerts/index.ts'
import { createTestKernel } from '../../../testing/index.ts'
import { newFolder, openFolder } from './file/rig.ts'

const [OLD, NEW] = ['ab'.repeat(32), Buffer.alloc(32, 7).toString('base64')]
const both = { encryption: { keys: { old: OLD, new: NEW }, current: 'new' } }

/** Opens a folder with the keys of one process. */
function open(folder: string, encryption: KernelConfig, workers = {}) {
  return openFolder(folder, {}, { workers, config: encryption })
}

function textOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')).join('\n')
}

it('keeps the files of a store free of plain text, rotates keys while jobs wait, and shows a marker without a key', async () => {
  const folder = newFolder()
  const workers = {
    w: {
      config: { queue: 'w' },
      async handler({ data }: Job, ctx: RunContext) {
        await ctx.state.set('seen', data)
        return { got: data }
      },
    },
    f: { config: { queue: 'f' }, handler: () => Promise.reject(new Error('secret error')) },
  }
  const first = await open(folder, { encryption: { keys: { old: OLD } } }, workers)
  const done = await first.kernel.enqueue('w', 'secret data')
  const failed = await first.kernel.enqueue('f', null)
  await first.drain()
  await first.kernel.port('queue').pause('w')
  const waits = await first.kernel.enqueue('w', 'secret waits')
  await first.close()
  expect(textOf(folder)).not.toContain('secret')

  const without = await open(folder, {}, workers)
  const { kernel } = without
  await kernel.port('queue').resume('w')
  await without.advance('5m')
  expect(await kernel.port('queue').getJob('w', waits.id)).toMatchObject({
    state: 'delayed',
    attemptsMade: 0,
    crashes: 0,
  })
  expect(await kernel.port('queue').getJob('w', done.id)).toMatchObject({
    state: 'completed',
    result: '[encrypted with key "old"]',
  })
  expect(await kernel.port('queue').getJob('f', failed.id)).toMatchObject({
    error: { name: 'Error', message: '[encrypted with key "old"]' },
  })
  expect(await kernel.state(done.runId)).toEqual({ seen: '[encrypted with key "old"]' })
  expect(await kernel.timeline(done.runId)).toMatchObject({ jobs: [{ status: 'completed' }] })
  expect(await kernel.diagnose()).toContainEqual(
    expect.objectContaining({ check: 'encryption.keys', level: 'problem' }),
  )
  // A marker never replaces the value that it stands for.
  const copy = (await kernel.port('queue').getJob('w', done.id))!.result
  await expect(kernel.enqueue('w', { copy })).rejects.toMatchObject({ code: 'ENCRYPTION_KEY_MISSING' })
  await without.close()

  await using after = await open(folder, both, workers)
  await after.advance('10m')
  expect(await after.kernel.port('queue').getJob('w', waits.id)).toMatchObject({
    state: 'completed',
    attemptsMade: 0,
    result: { got: 'secret waits' },
  })
  expect(await after.kernel.port('queue').getJob('f', failed.id)).toMatchObject({ error: { message: 'secret error' } })
  expect(await after.kernel.state(done.runId)).toEqual({ seen: 'secret data' })
  const raw = Object.getPrototypeOf(after.kernel.port('queue')) as QueueProvider
  expect((await raw.getJob('w', waits.id))!.result).toMatch(/^nqe1\.new\./)
})

it('returns a job to the queue whose handler reads a value with an unknown key, and does not run it with another value', async () => {
  const folder = newFolder()
  const seen: unknown[] = []
  const workers = {
    async w(_job: Job, ctx: RunContext) {
      const value = await ctx.step.run('once', () => 'secret memo')
      seen.push(value)
      return ctx.claim === 1 ? ctx.defer({ delay: 1000 }) : 'done'
    },
  }
  const first = await open(folder, { encryption: { keys: { old: OLD } } }, workers)
  const job = await first.kernel.enqueue('w')
  await first.advance(10)
  await first.close()
  const rotated = await open(folder, { encryption: { keys: { new: NEW } } }, workers)
  await rotated.advance('5m')
  expect(await rotated.kernel.port('queue').getJob('default', job.id)).toMatchObject({ attemptsMade: 0, crashes: 0 })
  expect(seen).toEqual(['secret memo'])
  await rotated.close()
  await using after = await open(folder, both, workers)
  await after.advance('10m')
  expect(await after.kernel.port('queue').getJob('default', job.id)).toMatchObject({ state: 'completed' })
  expect(new Set(seen)).toEqual(new Set(['secret memo']))
})

it('does not run a job with what a reader without the key has seen of its run', async () => {
  const folder = newFolder()
  const seen: unknown[] = []
  const workers = {
    async w(_job: Job, ctx: RunContext) {
      if (ctx.claim > 1) seen.push(await ctx.state.get('key'))
      else await ctx.state.set('key', 'secret')
      return ctx.claim === 1 ? ctx.defer({ delay: 1000 }) : 'done'
    },
  }
  const first = await open(folder, { encryption: { keys: { old: OLD } } }, workers)
  const job = await first.kernel.enqueue('w')
  await first.advance(10)
  await first.close()
  await using second = await open(folder, {}, workers)
  expect(await second.kernel.state(job.runId)).toEqual({ key: '[encrypted with key "old"]' })
  await second.advance('5m')
  expect(seen).toEqual([])
  expect(await second.kernel.port('queue').getJob('default', job.id)).toMatchObject({ attemptsMade: 0, crashes: 0 })
})

it('does not decrypt a value in another place, a changed value, or one with another key of the same id', async () => {
  const ran: unknown[] = []
  await using test = await createTestKernel({
    config: both,
    workers: { w: { config: { queue: 'w' }, handler: ({ data }: { data: unknown }) => void ran.push(data) } },
  })
  const { kernel } = test
  const [queue, events] = [kernel.port('queue'), kernel.port('events')]
  const raw = Object.getPrototypeOf(queue) as QueueProvider
  const log = Object.getPrototypeOf(events) as EventStore
  await queue.pause('w')
  const one = await kernel.enqueue('w', 1)
  const stored = (await raw.getJob('w', one.id))!
  const changed = (stored.data as string).replace(/.{4}$/, 'AAAA')
  await raw.enqueue({ ...stored, id: 'moved', runId: 'moved' })
  await raw.enqueue({ ...stored, id: 'changed', runId: one.runId, data: changed })
  await queue.resume('w')
  await test.drain()
  expect(ran).toEqual([1])
  for (const id of ['moved', 'changed']) {
    expect(await queue.getJob('w', id)).toMatchObject({
      attemptsMade: 0,
      data: '[encrypted with key "new", and changed]',
    })
  }
  await events.append('a', [{ type: 'mine', data: 'secret' }])
  const [event] = await log.read('a')
  await log.append('b', [{ type: 'mine', data: event!.data }])
  expect((await events.read('a'))[0]!.data).toBe('secret')
  expect((await events.read('b'))[0]!.data).toBe('[encrypted with key "new", and changed]')
})

it('does not decrypt the result of one sub-step, or the value of one key of the state, in the place of another', async () => {
  await using test = await createTestKernel({
    config: both,
    workers: {
      async w(_job: Job, ctx: RunContext) {
        await ctx.step.run('charge', () => 100)
        await ctx.step.run('refund', () => 1)
        await ctx.state.set('limit', 100)
        await ctx.state.set('used', 1)
      },
    },
  })
  const { runId } = await test.kernel.enqueue('w')
  await test.drain()
  const events = test.kernel.port('events')
  const log = Object.getPrototypeOf(events) as EventStore
  for (const [type, member] of [
    ['step.memo', 'result'],
    ['state.set', 'value'],
  ] as const) {
    const [one, other] = await log.read(runId, { types: [type] })
    const data = { ...(other!.data as object), [member]: (one!.data as Record<string, unknown>)[member] }
    await log.append(runId, [{ type, data, stepId: one!.stepId }], { reopen: true })
    const swapped = (await events.read(runId, { types: [type] })).map((event) => event.data as Record<string, unknown>)
    expect(swapped.map((each) => each[member])).toEqual([100, 1, '[encrypted with key "new", and changed]'])
  }
})

it('encrypts messages of errors in alerts and in the history of triggers, and finds jobs by names of errors only', async () => {
  const fail = () => Promise.reject(new TypeError('secret error'))
  await using test = await createTestKernel({
    plugins: [alerts],
    config: { ...both, alerts: { rules: { 'error-group': false } } },
    workers: { w: { config: { queue: 'w' }, handler: fail } },
  })
  const { kernel } = test
  await kernel.registerTrigger({ name: 't', type: 'manual', worker: 'w' })
  kernel.subscribeTrigger('t', { worker: 'w', id: 'second', transform: fail })
  await kernel.emitTrigger('t', 'payload')
  await test.advance('1h')
  const raised = await kernel.alerts()
  expect(raised).toContainEqual(expect.objectContaining({ title: expect.stringContaining('secret error') as string }))
  const started = [{ queue: 'w' }, { reason: 'FAILED', message: 'secret error' }]
  expect(await kernel.triggerHistory('t')).toMatchObject([{ payload: 'payload', started }])
  const log = Object.getPrototypeOf(kernel.port('events')) as EventStore
  const runs = ['_alerts', '_alerts.noticed', 'trigger:t']
  const stored = JSON.stringify(await Promise.all(runs.map(async (run) => log.read(run))))
  expect(stored).toContain('FAILED')
  expect(stored).not.toContain('secret error')
  const found = async (error: string) => (await kernel.findJobs({ queue: 'w', error })).jobs.length
  expect([await found('typeerror'), await found('nqe1')]).toEqual([1, 0])
})

it('encrypts with the key that "keyFor" chooses for the job, also the events of its run', async () => {
  const keys = (id: string) => (id === 'gone' ? undefined : createSecretKey(Buffer.alloc(32, id)))
  await using test = await createTestKernel({
    config: {
      encryption: {
        keys,
        current: 'common',
        keyFor: ({ headers }: { headers?: Record<string, string> }) => headers?.tenant,
      },
    },
    workers: { w: ({ data }: { data: unknown }) => data },
  })
  const { kernel } = test
  const jobs = [await kernel.enqueue('w', 'x', { headers: { tenant: 'acme' } }), await kernel.enqueue('w', 'y')]
  await expect(kernel.enqueue('w', 'z', { headers: { tenant: 'gone' } })).rejects.toMatchObject({
    code: 'ENCRYPTION_KEY_MISSING',
  })
  await test.drain()
  const raw = Object.getPrototypeOf(kernel.port('queue')) as QueueProvider
  const log = Object.getPrototypeOf(kernel.port('events')) as EventStore
  for (const [index, key] of ['acme', 'common'].entries()) {
    const { id, runId } = jobs[index]!
    const record = await raw.getJob('default', id)
    const end = (await log.read(runId)).at(-1)!.data as { result: string }
    expect([record!.data, record!.result, end.result].map((text) => String(text).split('.')[1])).toEqual([
      key,
      key,
      key,
    ])
  }
})

it('does not run a job without data whose result it could not encrypt', async () => {
  const folder = newFolder()
  const ran: string[] = []
  const keyFor = (): string => 'new'
  const workers = { w: { config: { queue: 'w' }, handler: () => ran.push('once') } }
  const without = await open(folder, { encryption: { keys: { old: OLD }, keyFor } }, workers)
  const job = await without.kernel.enqueue('w')
  await without.advance('5m')
  expect(await without.kernel.port('queue').getJob('w', job.id)).toMatchObject({ state: 'delayed', crashes: 0 })
  expect(ran).toEqual([])
  await without.close()
  await using after = await open(folder, { encryption: { ...both.encryption, keyFor } }, workers)
  await after.advance('10m')
  expect(await after.kernel.port('queue').getJob('w', job.id)).toMatchObject({ state: 'completed', result: 1 })
})

it.each([
  ['a short key', { keys: { a: OLD.slice(2) } }],
  ['a long key', { keys: { a: Buffer.alloc(33).toString('base64') } }],
  ['a text that is no key', { keys: { a: 'not a key!' } }],
  ['a key without an id', { keys: { '': OLD } }],
  ['several keys and no current one', { keys: { a: OLD, b: NEW } }],
  ['an unknown current key', { keys: { a: OLD }, current: 'b' }],
  ['a private key', { keys: { a: generateKeyPairSync('ed25519').privateKey } }],
  ['a function that has not the current key', { keys: () => undefined, current: 'a' }],
])('refuses %s at the start, and keeps it out of the message', async (_what, encryption) => {
  const error: unknown = await createTestKernel({ config: { encryption } }).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
  expect(String(error)).not.toMatch(/abab|not a key!/)
})

it('refuses a text that readers would take for an encrypted value, where a store could hold one', async () => {
  await using test = await open(newFolder(), {}, { w: () => null })
  await expect(test.kernel.enqueue('w', 'nqe1.a.b')).rejects.toMatchObject({ code: 'VALUE_UNSUPPORTED' })
  const emit = async () => test.kernel.emit('r', [{ type: 'mine', data: 'nqe1.a.b' }])
  await expect(emit()).rejects.toMatchObject({ code: 'VALUE_UNSUPPORTED' })
})
