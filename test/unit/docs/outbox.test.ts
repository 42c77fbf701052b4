import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'pathe'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ROOT } from '../../../docs/.vitepress/pages.ts'
import type { QueueHandler, WorkerConfig } from '../../../kernel/index.ts'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

interface Outbox {
  database: { exec(sql: string): void; prepare(sql: string): { all(): unknown[] } }
  addToOutbox(worker: string, data: unknown): void
}

let folder: string
let outbox: Outbox
let app: TestKernel
let ran: unknown[]

/** The files of the guide, as a reader copies them, over a database of their own and a queue in memory. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-outbox-'))
  vi.stubEnv('SHOP_DATABASE', join(folder, 'shop.sqlite'))
  const page = readFileSync(join(ROOT, 'docs/guides/transactions.md'), 'utf8')
  for (const [, code, name] of page.matchAll(/```ts\n(\/\/ ((?:lib|server\/queues)\/[\w./]+)\n[\s\S]*?)```/g)) {
    mkdirSync(dirname(join(folder, name!)), { recursive: true })
    writeFileSync(join(folder, name!), code!)
  }
  outbox = (await import(join(folder, 'lib/outbox.ts'))) as Outbox
  const worker = (await import(join(folder, 'server/queues/outbox.ts'))) as {
    config: WorkerConfig
    default: QueueHandler
  }
  ran = []
  app = await createTestKernel({
    workers: {
      outbox: { config: worker.config, handler: worker.default },
      invoice: ({ data }) => void ran.push(data),
    },
  })
})
afterEach(async () => {
  await app.kernel.close()
  rmSync(folder, { recursive: true })
  vi.unstubAllEnvs()
})

const rows = (columns: string): unknown[] => outbox.database.prepare(`SELECT ${columns} FROM outbox`).all()
async function nextRun(): Promise<void> {
  await app.advance('1s')
  await app.drain()
}

it('moves the rows of committed transactions to the queue', async () => {
  const { database } = outbox
  database.exec('BEGIN')
  for (let n = 0; n < 1200; n++) outbox.addToOutbox('invoice', n)
  database.exec('COMMIT')
  database.exec('BEGIN')
  outbox.addToOutbox('invoice', 'undone')
  database.exec('ROLLBACK')
  await nextRun()
  expect(ran).toEqual(Array.from({ length: 1200 }, (_, n) => n))
  expect(rows('id')).toEqual([])
})

it('runs a job once when a process dies after it stored the job', async () => {
  outbox.database.exec(`CREATE TRIGGER died BEFORE DELETE ON outbox BEGIN SELECT RAISE(ABORT, 'died'); END`)
  outbox.addToOutbox('invoice', 7)
  await nextRun()
  expect([ran, rows('worker')]).toEqual([[7], [{ worker: 'invoice' }]])
  outbox.database.exec('DROP TRIGGER died')
  await nextRun()
  expect([ran, rows('worker')]).toEqual([[7], []])
})

it('keeps a refused row with its reason, and moves the others', async () => {
  outbox.addToOutbox('nobody', 1)
  outbox.addToOutbox('invoice', 2)
  await nextRun()
  expect(ran).toEqual([2])
  expect(rows('worker, error')).toEqual([{ worker: 'nobody', error: expect.stringContaining('nobody') as string }])
})
