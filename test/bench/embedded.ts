import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { PGlite } from '@electric-sql/pglite'
import { embedded } from 'nuxt-queue/presets'
import { join } from 'pathe'
import { fromPglite, PgBoss } from 'pg-boss'
import { runOneByOne } from './boss-one-by-one.ts'
import { benchAdapter, type BareLibrary } from './adapters.ts'
import type { Bench } from './harness.ts'
import { ORDER, total, type Order } from './payload.ts'

/** Runs pg-boss on PGlite in this thread, as in its documentation. */
async function bossOnPglite(dataDir: string): Promise<BareLibrary & { close(): Promise<void> }> {
  const db = new PGlite({ dataDir })
  await db.waitReady
  const boss = new PgBoss({ db: fromPglite(db), backend: 'pglite', supervise: false, schedule: false })
  await boss.start()
  const made = new Set<string>()
  const ready = async (queue: string): Promise<void> => {
    if (!made.has(queue)) await boss.createQueue(queue)
    made.add(queue)
  }
  return {
    name: 'pg-boss on PGlite',
    async bulk(queue, jobs) {
      await ready(queue)
      for (let from = 0; from < jobs; from += 1000) {
        const length = Math.min(1000, jobs - from)
        await boss.insert(
          queue,
          Array.from({ length }, () => ({ data: ORDER as object })),
        )
      }
    },
    async add(queue) {
      await ready(queue)
      await boss.send(queue, ORDER)
    },
    async work(queue, concurrency, onJob) {
      await ready(queue)
      const handler = async (jobs: readonly { data: Order }[]): Promise<void> => {
        for (const { data } of jobs) {
          total(data)
          onJob()
        }
      }
      if (concurrency === 1) return runOneByOne(boss, queue, handler)
      const options = { batchSize: concurrency, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
      await boss.work<Order>(queue, options, handler)
      return () => boss.offWork(queue)
    },
    async close() {
      await boss.stop({ graceful: false })
      await db.close()
    },
  }
}

export default async function bench(bench: Bench): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-bench-'))
  let folders = 0
  const config = () => ({ embedded: { path: join(folder, String(++folders)) }, setupTimeout: 60_000 })
  const bare = await bossOnPglite(join(folder, 'bare'))
  try {
    await benchAdapter(bench, { preset: embedded, events: 'events-postgres', config, bare, jobs: 2000 })
  } finally {
    await bare.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
