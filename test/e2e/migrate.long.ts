// `npm test` has ended moves in one process. Here real processes that move thousands of runs from Redis to PostgreSQL are killed.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { join } from 'pathe'
import { Client } from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { createKernel, type Kernel } from '../../index.ts'
import { jobChecksum } from '../../plugins/integrations/lib/backup/checksum.ts'
import { exportStore } from '../../plugins/integrations/lib/backup/export.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { startCli } from './processes.ts'

const RUNS = 5000
const WAITING = 1000
const KILLS = 10

/** Returns the checksum of each stream and each job. */
async function checksums(kernel: Kernel): Promise<string[]> {
  const found: string[] = []
  for await (const line of exportStore({ events: kernel.port('eventCopies'), jobs: kernel.port('jobCopies') })) {
    if ('end' in line) found.push(`${line.end.stream} ${line.checksum}`)
    if ('job' in line) found.push(`${line.job.id} ${jobChecksum(line.job)}`)
  }
  return found.toSorted()
}

it('moves each run and each job once, although it is killed ten times', async () => {
  const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
  const cwd = await mkdtemp(join(tmpdir(), 'nuxt-queue-migrate-'))
  const schema = `nq_migrate_${process.pid}`
  onTestFinished(async () => {
    const client = new Client({ connectionString: postgres.url })
    await client.connect()
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
    await client.end()
    await Promise.all([rm(cwd, { recursive: true, force: true }), redis.stop(), postgres.stop()])
  })
  const stores = { redis: { url: redis.url, prefix: crypto.randomUUID() }, postgres: { url: postgres.url, schema } }
  const config = { ...stores, registry: { dirs: [] }, instances: { heartbeat: 0, moved: 'ignore' as const } }
  await writeFile(join(cwd, 'nuxt-queue.config.ts'), `export default ${JSON.stringify(stores)}`)

  const source = await createKernel({ preset: 'prod-redis', config })
  const events = source.port('events')
  const runs = Array.from({ length: RUNS }, (_, n) =>
    events.append(
      `run-${n}`,
      [{ type: 'a', key: 'a', data: { n } }, { type: 'b' }, { type: 'c', data: 'x'.repeat(n % 500) }],
      {
        run: { status: n % 10 ? 'completed' : 'running', name: 'note', tags: n % 7 ? [] : ['seventh'] },
        fence: { job: `job-${n}`, token: 1 + (n % 3) },
      },
    ),
  )
  await Promise.all(runs)
  await source.registerWorker({ id: 'mail', handler: () => {} })
  await source.enqueueMany(Array.from({ length: WAITING }, (_, n) => ({ worker: 'mail', data: { n } })))
  await source.close()
  // The engine stores its statistics when it closes.
  const quiet = await createKernel({ preset: 'prod-redis', config })
  const expected = await checksums(quiet)
  await quiet.close()

  const args = ['migrate', '--from', redis.url, '--to', postgres.url]
  let kills = 0
  for (; kills < KILLS; kills++) {
    const running = startCli(args, cwd)
    const isDone = await Promise.race([running.ended.then(() => true), setTimeout(1500 + 250 * kills, false)])
    if (isDone) break
    running.kill('SIGKILL')
    await running.ended
  }
  const began = performance.now()
  const last = await startCli([...args, '--json'], cwd).ended
  expect(last).toMatchObject({ code: 0 })
  process.stdout.write(`${kills} kills; the last move took ${Math.round(performance.now() - began)} ms: ${last.stdout}`)
  expect(kills).toBeGreaterThan(2)
  const target = await createKernel({ preset: 'prod-postgres', config })
  try {
    expect(await checksums(target)).toEqual(expected)
    const order = (await target.port('queue').getJobs({ states: ['waiting'], limit: WAITING })).map(({ data }) => data)
    expect(order).toEqual(Array.from({ length: WAITING }, (_, n) => ({ n })))
  } finally {
    await target.close()
  }
}, 600_000)
