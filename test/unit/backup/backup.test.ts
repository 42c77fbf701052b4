import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { createKernel, type JobRecord, type Kernel } from '../../../kernel/index.ts'
import type { EventCopies } from '../../../plugins/adapters/lib/store-copy.ts'
import { exportStore, type CopyableStore } from '../../../plugins/integrations/lib/backup/export.ts'
import { checkExport, readExport, writeExport } from '../../../plugins/integrations/lib/backup/files.ts'
import { importStore } from '../../../plugins/integrations/lib/backup/import.ts'
import devFile from '../../../presets/dev-file.ts'
import memory from '../../../presets/test.ts'

const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-backup-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

const storeOf = (kernel: Kernel): CopyableStore => ({
  events: kernel.port('eventCopies'),
  jobs: kernel.port('jobCopies'),
})

async function createMemory(): Promise<Kernel> {
  const kernel = await createKernel({ preset: memory })
  onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
  return kernel
}

/** A store with twelve runs of at least fifty events, twelve waiting jobs, and the data of the engine for them. */
async function createSource(): Promise<Kernel> {
  const kernel = await createMemory()
  const events = kernel.port('events')
  for (let n = 0; n < 12; n++) {
    const drafts = Array.from({ length: 50 + 30 * n }, (_, index) => ({ type: 'noted', key: `k${index}`, data: { n } }))
    await events.append(`run-${n}`, drafts, {
      run: { status: 'completed', name: 'note', tags: ['t'] },
      fence: { job: 'j', token: n },
    })
    await events.snapshots.put(`run-${n}`, { reducer: 'sum@1', seq: 40, state: { n } })
  }
  await events.trim('run-3', 40)
  await kernel.registerWorker({ id: 'mail', handler: () => {} })
  await kernel.queue('idle').setLimits({ concurrency: 3, rate: { limit: 5, period: 1000 } })
  for (let n = 0; n < 12; n++) await kernel.enqueue('mail', { n }, n % 2 ? { delay: 60_000 } : {})
  return kernel
}

it('marks a file as complete only if it is', async () => {
  const source = storeOf(await createSource())
  const file = join(folder, 'backup.jsonl.gz')
  const counts = await writeExport(exportStore(source), file)
  expect(counts).toMatchObject({ streams: 12, jobs: 12 })
  expect(await checkExport(file)).toEqual(counts)
  const target = await createMemory()
  expect(await importStore(readExport(file), storeOf(target))).toMatchObject(counts)
  expect(await target.queue('idle').limits()).toEqual({ concurrency: 3, rate: { limit: 5, period: 1000 } })
  expect(await target.port('events').byKey('run-5', 'k7')).toMatchObject({ seq: 8, data: { n: 5 } })
  expect(await target.port('events').append('run-3', [{ type: 'noted', key: 'k1' }], { reopen: true })).toMatchObject({
    events: [],
  })

  const text = gunzipSync(await readFile(file)).toString()
  const bad = join(folder, 'bad.jsonl')
  const broken = {
    cut: text.slice(0, -200),
    'without a line': text.replace(/^.*run-7.*$/m, '').replace('\n\n', '\n'),
    changed: text.replace('"n":5', '"n":6'),
    'of another format': text.replace('"format":1', '"format":2'),
    'not an export': 'hello\n',
    empty: '',
  }
  for (const [what, content] of Object.entries(broken)) {
    await writeFile(bad, content)
    await expect(checkExport(bad), what).rejects.toMatchObject({ code: 'EXPORT_INVALID' })
  }
  await writeFile(`${bad}.gz`, (await readFile(file)).subarray(0, 500))
  await expect(checkExport(`${bad}.gz`)).rejects.toMatchObject({ code: 'EXPORT_INVALID' })
  await expect(checkExport(join(folder, 'none'))).rejects.toMatchObject({ code: 'EXPORT_INVALID' })
})

it('leaves no file behind if the store fails', async () => {
  const source = storeOf(await createSource())
  async function* jobs(): AsyncGenerator<readonly JobRecord[]> {
    yield []
    throw new Error('away')
  }
  const failing = { ...source, jobs: { ...source.jobs, jobs } }
  const file = join(folder, 'failed.jsonl')
  await expect(writeExport(exportStore(failing), file)).rejects.toThrow('away')
  await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(readFile(`${file}.part`)).rejects.toMatchObject({ code: 'ENOENT' })
})

/** Fails one write to a store, like a process that was killed before it. */
function failingAt(store: CopyableStore, at: number): CopyableStore {
  let calls = 0
  const wrap =
    <A extends unknown[]>(write: (...args: A) => unknown) =>
    async (...args: A): Promise<void> => {
      if (calls++ === at) throw new Error('killed')
      await write(...args)
    }
  return {
    events: { ...store.events, write: wrap(store.events.write) },
    jobs: { ...store.jobs, write: wrap(store.jobs.write), pause: wrap(store.jobs.pause) },
  }
}

it('continues an import where it ended, wherever it was killed, and in a file store also after the process has died', async () => {
  const source = storeOf(await createSource())
  const path = join(folder, 'store')
  const open = (): Promise<Kernel> =>
    createKernel({ preset: devFile, config: { ...memory.config, file: { path, fsync: 'never' } } })
  let kills = 0
  for (let isKilled = true; isKilled && kills < 20;) {
    const target = await open()
    const importing = importStore(exportStore(source), failingAt(storeOf(target), 3))
    isKilled = await importing.then(
      () => false,
      () => true,
    )
    kills += Number(isKilled)
    await target.close({ timeout: 0 })
  }
  // A file store forgets the beginning of a stream whose end was not written.
  expect(kills).toBeGreaterThan(1)
  expect(kills).toBeLessThan(20)
  const last = await open()
  onTestFinished(async () => void (await last.close({ timeout: 0 })))
  // Everything is there once, in the same order.
  expect(await importStore(exportStore(storeOf(last)), storeOf(await createMemory()))).toMatchObject({
    streams: 12,
    jobs: 12,
  })
  expect((await last.port('queue').getJobs({ states: ['waiting'] })).map(({ data }) => data)).toEqual(
    [0, 2, 4, 6, 8, 10].map((n) => ({ n })),
  )
})

it('keeps existing data of a store, and reports how much', async () => {
  const source = await createSource()
  const target = await createMemory()
  await importStore(exportStore(storeOf(source)), storeOf(target))
  await target.port('events').append('run-1', [{ type: 'more' }], { reopen: true })
  await source.port('events').append('run-2', [{ type: 'more' }], { reopen: true })
  await source.enqueue('mail', { n: 12 })
  const report = await importStore(exportStore(storeOf(source)), storeOf(target))
  expect(report).toMatchObject({ jobs: 1, events: 1, kept: { jobs: 12, streams: 1 } })
  expect(await target.port('events').head('run-1')).toBe(81)
  expect(await target.port('events').head('run-2')).toBe(111)
})

it('notices if a store returns other data than was written', async () => {
  const source = storeOf(await createSource())
  const lossy = (events: EventCopies): EventCopies => ({
    ...events,
    write: (parts) => events.write(parts.map((part) => ({ ...part, snapshots: [] }))),
  })
  const target = storeOf(await createMemory())
  const copied = importStore(exportStore(source), { ...target, events: lossy(target.events) })
  await expect(copied).rejects.toMatchObject({ code: 'STORE_DIFFERS' })
})
