import type { TextMapPropagator } from '@opentelemetry/api'
import { Client, Pool } from 'pg'
import { fromKnex, PgBoss, type ConstructorOptions } from 'pg-boss'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Job, Kernel, Reporter } from '../../index.ts'
import { migrate } from '../../plugins/adapters/postgres/lib/migrate.ts'
import { eventVersions } from '../../plugins/adapters/postgres/events/schema.ts'
import { queueVersions } from '../../plugins/adapters/postgres/queue/schema.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { openKernel, runTask } from './postgres-rig.ts'

let service: Awaited<ReturnType<typeof sharedPostgres>>
let pool: Pool
const closers: (() => Promise<unknown>)[] = []
let schemas = 0
const freshSchema = (): string => `nq_e2e_${process.pid}_${++schemas}`

beforeAll(async () => {
  service = await sharedPostgres()
  pool = new Pool({ connectionString: service.url })
})
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})
afterAll(async () => {
  for (let n = 1; n <= schemas; n++) await pool.query(`DROP SCHEMA IF EXISTS nq_e2e_${process.pid}_${n} CASCADE`)
  await pool.end()
  await service.stop()
})

async function kernelIn(schema: string, reporter?: Reporter): Promise<Kernel> {
  const kernel = await openKernel(service.url, schema, reporter)
  closers.push(() => kernel.close({ timeout: 0 }))
  return kernel
}

async function bossIn(schema: string, options: ConstructorOptions = {}): Promise<PgBoss> {
  const boss = new PgBoss({ connectionString: service.url, schema, supervise: false, schedule: false, ...options })
  await boss.start()
  closers.push(() => boss.stop({ graceful: false }))
  return boss
}

async function until<T>(check: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await check()
    if (found !== undefined && found !== false) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('PostgreSQL and a plain pg-boss client', () => {
  it('finds jobs of a plain client, and leaves no tags of removed jobs', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const ours = await kernel.enqueue({ queue: 'mail', name: 'ours' }, { n: 1 }, { tags: ['a', 'b'] })
    const boss = await bossIn(schema)
    const plain = await boss.send('mail', { n: 2 })
    const found = async (filter: object): Promise<string[]> => (await kernel.findJobs(filter)).jobs.map(({ id }) => id)
    expect(await found({ queue: 'mail' })).toEqual([plain, ours.id])
    expect(await found({ data: { n: 2 }, states: ['waiting'] })).toEqual([plain])
    expect(await found({ tag: 'b' })).toEqual([ours.id])
    const tags = async (): Promise<unknown[]> => (await pool.query(`SELECT tag FROM ${schema}.nq_job_tag`)).rows
    expect(await tags()).toHaveLength(2)
    await kernel.port('queue').cancel('mail', ours.id)
    await kernel.port('queue').clean({ outcome: 'cancelled', endedBefore: Infinity, keep: 0 })
    expect(await tags()).toEqual([])
    await kernel.enqueue({ queue: 'mail', name: 'ours' }, 1, { id: 'again', tags: ['a'] })
    await kernel.port('queue').remove('mail', 'again')
    expect(await tags()).toEqual([])
  })

  it('warns when the tables have been migrated by a release of pg-boss that it was not tested with', async () => {
    const schema = freshSchema()
    const reports: string[] = []
    const reporter = { warn: (message: string) => void reports.push(message), error: () => {} }
    await kernelIn(schema)
    await kernelIn(schema, reporter)
    expect(reports).toEqual([])
    await pool.query(`UPDATE ${schema}.version SET version = version + 1`)
    await kernelIn(schema, reporter)
    expect(reports).toEqual([
      expect.stringMatching(/tested with version \d+ of the tables of pg-boss; got version \d+/),
    ])
  })

  it('shows the jobs of this package with unchanged data', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const boss = await bossIn(schema)
    const { id } = await kernel.enqueue({ queue: 'mail', name: 'send' }, { to: 'ada' }, { priority: 3, attempts: 4 })
    const [job] = await boss.findJobs('mail', { id })
    expect(job).toMatchObject({ id, name: 'mail', data: { to: 'ada' }, state: 'created', priority: 3, retryLimit: 3 })
    await kernel.enqueue({ queue: 'mail', name: 'send' }, null, { id: 'not a uuid' })
    expect(await boss.findJobs('mail')).toHaveLength(2)
  })

  it('carries the context of its traces as headers, in both directions', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const extracted: unknown[] = []
    const propagator: TextMapPropagator<Record<string, string>> = {
      inject: (_context, carrier) => void Object.assign(carrier, { traceparent, tracestate: 'a=1' }),
      extract: (context, carrier) => (extracted.push(carrier), context),
      fields: () => [],
    }
    const boss = await bossIn(schema, { openTelemetry: { propagateContext: true, propagator } })
    await boss.createQueue('mail')
    const id = await boss.send('mail', { n: 1 })
    const found = async () => (await kernel.port('queue').getJob('mail', id!))!.headers
    expect(await found()).toEqual({ traceparent, tracestate: 'a=1' })
    const seen: unknown[] = []
    const handler = ({ headers, attempt }: Job): void => {
      seen.push(headers)
      if (attempt === 1) throw new Error('again')
    }
    await kernel.registerWorker({ id: 'send', config: { queue: 'mail' }, handler })
    await kernel.start()
    const mine = await kernel.enqueue('send', 1, { headers: { traceparent: 'b', nq: 'c' }, attempts: 2 })
    expect((await kernel.port('queue').getJob('mail', mine.id))!.headers).toEqual({ traceparent: 'b', nq: 'c' })
    await until(async () => seen.length === 4)
    expect(seen.filter((one) => (one as { nq?: string }).nq === undefined)).toHaveLength(2)
    expect(seen).toContainEqual({ traceparent, tracestate: 'a=1' })
    expect(seen).toContainEqual({ traceparent: 'b', nq: 'c' })

    await kernel.unregisterWorker('send')
    await kernel.enqueue({ queue: 'mail', name: 'theirs' }, 1, { headers: { traceparent: 'd' } })
    await boss.work('mail', { pollingIntervalSeconds: 0.5 }, async () => {})
    await until(async () => extracted.some((one) => (one as { traceparent?: string }).traceparent === 'd'))
  })

  it('shows the client jobs that are due together in the order of their arrival', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const delay = new Date(Date.now() + 3_600_000)
    const ids = ['a', 'b', 'c', 'd']
    const [first, ...others] = ids.map((id) => ({ worker: { queue: 'mail', name: 'send' }, options: { id, delay } }))
    await kernel.enqueueMany([first!])
    await kernel.enqueueMany(others)
    const order = `SELECT trace_context #>> '{nq,i}' AS id FROM ${schema}.job WHERE name = 'mail' ORDER BY created_on`
    expect((await pool.query(order)).rows.map(({ id }) => id)).toEqual(ids)
    const { rows } = await pool.query(`SELECT count(DISTINCT created_on)::int FROM ${schema}.job WHERE name = 'mail'`)
    expect(rows).toEqual([{ count: 4 }])
  })

  it('runs a job of this package, which reads its result', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const boss = await bossIn(schema)
    const { queue, id } = await kernel.enqueue({ queue: 'mail', name: 'send' }, { n: 20 })
    await boss.work<{ n: number }>('mail', { pollingIntervalSeconds: 0.5 }, async ([job]) => ({ sum: job!.data.n + 1 }))
    const done = await until(async () => {
      const job = await kernel.port('queue').getJob(queue, id)
      return job?.state === 'completed' && job
    })
    expect(done).toMatchObject({ id, name: 'send', result: { sum: 21 }, claims: 1 })
  })

  it('sends a job that runs on our worker, with its retries as our attempts', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const boss = await bossIn(schema)
    const tries: unknown[] = []
    await kernel.registerWorker({
      id: 'send',
      config: { queue: 'mail' },
      handler({ data, attempts }, { attempt }) {
        tries.push([data, attempt, attempts])
        if (attempt === 1) throw new Error('not yet')
        return 'sent'
      },
    })
    await kernel.start()
    const id = await boss.send('mail', { to: 'ada' }, { retryLimit: 2, retryDelay: 0 })
    const job = await until(async () =>
      (await boss.findJobs('mail', { id: id! })).find((one) => one.state === 'completed'),
    )
    expect(job.output).toEqual({ value: 'sent' })
    expect(tries).toEqual([
      [{ to: 'ada' }, 1, 3],
      [{ to: 'ada' }, 2, 3],
    ])
    const record = await kernel.port('queue').getJob('mail', id!)
    const types = (await kernel.port('events').read(record!.runId)).map(({ type }) => type)
    expect(types).toEqual(['step.started', 'step.retry', 'step.started', 'step.completed'])
  })

  it('retries failed jobs of both libraries with all their attempts', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const boss = await bossIn(schema)
    const tries: unknown[] = []
    await kernel.registerWorker({
      id: 'send',
      config: { queue: 'mail', attempts: 2, backoff: 0 },
      handler({ data, attempts }, { attempt }) {
        tries.push([data, attempt, attempts])
        if (tries.length < 8) throw new Error('not yet')
        return 'sent'
      },
    })
    await kernel.start()
    const inState = (id: string, state: string): Promise<unknown> =>
      until(async () => (await boss.findJobs('mail', { id })).find((one) => one.state === state))
    const ours = await kernel.enqueue('send', { by: 'us' })
    await inState(ours.id, 'failed')
    await boss.retry('mail', ours.id)
    await inState(ours.id, 'failed')
    await kernel.port('queue').retry('mail', ours.id)
    await inState(ours.id, 'failed')
    const plain = await boss.send('mail', { by: 'boss' }, { retryLimit: 0 })
    await inState(plain!, 'failed')
    await boss.retry('mail', plain!)
    await inState(plain!, 'completed')
    const round = [
      [{ by: 'us' }, 1, 2],
      [{ by: 'us' }, 2, 2],
    ]
    expect(tries).toEqual([...round, ...round, ...round, [{ by: 'boss' }, 1, 1], [{ by: 'boss' }, 1, 1]])
    expect(await kernel.port('queue').getJob('mail', ours.id)).toMatchObject({ round: 2, attemptsMade: 2 })
  })
})

describe("enqueue in the caller's transaction", () => {
  it('stores a job with the commit of a pg client, and none after a rollback', async () => {
    const kernel = await kernelIn(freshSchema())
    const client = new Client({ connectionString: service.url })
    await client.connect()
    closers.push(() => client.end())
    const known = async (id: string): Promise<boolean> => (await kernel.port('queue').getJob('mail', id)) !== undefined
    await client.query('BEGIN')
    await kernel.enqueue({ queue: 'mail', name: 'send' }, 1, { id: 'kept', db: client })
    expect(await known('kept')).toBe(false)
    await client.query('COMMIT')
    expect(await known('kept')).toBe(true)
    await client.query('BEGIN')
    await kernel.enqueue({ queue: 'mail', name: 'send' }, 2, { id: 'undone', db: client })
    await kernel.enqueueMany([{ worker: { queue: 'mail', name: 'send' }, options: { id: 'undone too', db: client } }])
    await client.query('ROLLBACK')
    expect([await known('undone'), await known('undone too')]).toEqual([false, false])
  })

  it('accepts jobs of the adapters of pg-boss, and wakes a worker with the commit', async () => {
    const kernel = await kernelIn(freshSchema())
    await kernel.registerWorker({ id: 'send', config: { queue: 'mail' }, handler: ({ data }) => data })
    await kernel.start()
    const client = new Client({ connectionString: service.url })
    await client.connect()
    closers.push(() => client.end())
    // Like knex, with a question mark for each value.
    const db = fromKnex({
      async raw(sql: string, bindings: readonly unknown[] = []) {
        let index = 0
        const { rows } = await client.query(
          sql.replaceAll('?', () => `$${++index}`),
          [...bindings],
        )
        return { rows: rows as never[] }
      },
    })
    await client.query('BEGIN')
    const job = await kernel.enqueue('send', 'hello', { db })
    await client.query('COMMIT')
    expect(await kernel.result(job, { timeout: 60_000 })).toBe('hello')
  })

  it('rejects two transactions for jobs that are enqueued together', async () => {
    const kernel = await kernelIn(freshSchema())
    const worker = { queue: 'mail', name: 'send' }
    const db = { query: () => Promise.resolve({ rows: [] }) }
    const call = kernel.enqueueMany([{ worker, options: { db } }, { worker }])
    await expect(call).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })
})

describe('many processes over one PostgreSQL', () => {
  it('start at once on an empty database', async () => {
    const schema = freshSchema()
    const tasks = Array.from({ length: 6 }, () => runTask('start', service.url, schema))
    expect(await Promise.all(tasks.map(({ exited }) => exited))).toEqual([0, 0, 0, 0, 0, 0])
    const { rows } = await pool.query(`SELECT name, version FROM ${schema}.nq_migration ORDER BY name, version`)
    const all = (name: string, { length }: string[]) => Array.from({ length }, (_, n) => ({ name, version: n + 1 }))
    expect(rows).toEqual([
      ...all('events', eventVersions(schema, 'channel')),
      ...all('queue', queueVersions(schema, 'channel')),
    ])
  })

  it('give each job of a fair key its own turn, also jobs in the transactions of callers', async () => {
    const schema = freshSchema()
    const kernels = await Promise.all([kernelIn(schema), kernelIn(schema)])
    const worker = { queue: 'fair', name: 'work' }
    const some = Array.from({ length: 20 }, () => ({ worker, data: 'big', options: { fairKey: 'big' } }))
    await Promise.all([0, 1, 0, 1, 0, 1].map((n) => kernels[n]!.enqueueMany(some)))
    const client = await pool.connect()
    await client.query('BEGIN')
    for (const data of ['small', 'big']) await kernels[0].enqueue(worker, data, { fairKey: data, db: client })
    await kernels[1].enqueueMany(some)
    await client.query('COMMIT')
    client.release()
    const turns = `SELECT count(*)::int AS jobs, count(DISTINCT created_on)::int AS turns FROM ${schema}.job
      WHERE name = 'fair' AND singleton_key LIKE 'nq:0:%'`
    expect((await pool.query(turns)).rows).toEqual([{ jobs: 140, turns: 140 }])
    const ran: unknown[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    await kernels[0].registerWorker({
      id: 'work',
      config: { ...worker, concurrency: 1 },
      handler: ({ data }) => void (ran.push(data) === 142 && resolve()),
    })
    await kernels[0].start()
    await promise
    expect(ran.slice(0, 2)).toContain('small')
  })

  it('append to one stream at once without a gap, each in order', async () => {
    const schema = freshSchema()
    const kernel = await kernelIn(schema)
    const tasks = Array.from({ length: 4 }, () => runTask('append', service.url, schema, '50'))
    expect(await Promise.all(tasks.map(({ exited }) => exited))).toEqual([0, 0, 0, 0])
    const stored = await kernel.port('events').read('shared')
    expect(stored.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, n) => n + 1))
    const times = stored.map(({ ts }) => ts)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  it('reject a schema of a newer release', async () => {
    const schema = freshSchema()
    await (await openKernel(service.url, schema)).close()
    await pool.query(`INSERT INTO ${schema}.nq_migration (name, version) VALUES ('events', 99)`)
    await expect(openKernel(service.url, schema)).rejects.toThrow(/has version 99 of "events"/)
  })

  it('rerun the job of a killed process elsewhere, within the lease and five seconds', async () => {
    const schema = freshSchema()
    const task = runTask('hold', service.url, schema)
    const kernel = await kernelIn(schema)
    const job = await kernel.enqueue({ queue: 'work', name: 'work' })
    await task.says('holds')
    task.child.kill('SIGKILL')
    await task.exited
    // The job is due after a lease of one second and five more seconds, so the job that was held must run before.
    const later = await kernel.enqueue({ queue: 'work', name: 'work' }, 'later', { delay: 1000 + 5000 })
    const seen: unknown[] = []
    await kernel.registerWorker({
      id: 'work',
      config: { queue: 'work' },
      handler({ data, crashes }, { claim }) {
        seen.push(data ?? 'held', claim, crashes)
        return 'elsewhere'
      },
    })
    await kernel.start()
    expect(await kernel.result(job, { timeout: 60_000 })).toBe('elsewhere')
    await kernel.result(later, { timeout: 60_000 })
    expect(seen).toEqual(['held', 2, 1, 'later', 1, 0])
  })

  it('reclaim a job from a process that was frozen for longer than its lease, and notify the process', async () => {
    const schema = freshSchema()
    const task = runTask('hold', service.url, schema)
    closers.push(async () => task.child.kill('SIGKILL'))
    const kernel = await kernelIn(schema)
    const job = await kernel.enqueue({ queue: 'work', name: 'work' })
    await task.says('holds')
    task.child.kill('SIGSTOP')
    await kernel.registerWorker({ id: 'work', config: { queue: 'work' }, handler: () => 'elsewhere' })
    await kernel.start()
    expect(await kernel.result(job, { timeout: 60_000 })).toBe('elsewhere')
    task.child.kill('SIGCONT')
    const told = await task.says('lost')
    expect(told.lost).toBe(job.id)
    // The process notices either that its lease has expired, or that the run has ended.
    expect(['LEASE_LOST', 'RUN_ENDED']).toContain(told.code)
    // The log is written first, so the result is known before the job is settled.
    const settled = { claims: 2, state: 'completed', result: 'elsewhere' }
    await expect.poll(() => kernel.port('queue').getJob('work', job.id)).toMatchObject(settled)
    const types = (await kernel.port('events').read(job.runId)).map(({ type }) => type)
    expect(types.filter((type) => type !== 'step.started')).toEqual(['step.completed'])
    expect(types.at(-1)).toBe('step.completed')
  })
})

describe('PostgreSQL with tables of an earlier release', () => {
  it('keeps their runs, which can be tagged from then on', async () => {
    const schema = freshSchema()
    const query = async <T extends object>(text: string, values: readonly unknown[] = []): Promise<T[]> =>
      (await pool.query<T>(text, [...values])).rows
    await migrate({ schema, query }, 'events', eventVersions(schema, 'old').slice(0, 1))
    await query(`WITH run AS (
      INSERT INTO ${schema}.nq_stream (name, head, ts, xid, fence_job, fence_token, fences, status, run_name, started, updated)
      VALUES ('old', 1, 1, '1', 'a', 1, '{"b": 3}', 'running', 'mail', 1, 1) RETURNING id
    ) INSERT INTO ${schema}.nq_event (stream, seq, ts, xid, type) SELECT id, 1, 1, '1', 'began' FROM run`)
    const store = (await kernelIn(schema)).port('events')
    expect(await store.runs.list()).toMatchObject([{ runId: 'old', name: 'mail', head: 1, tags: undefined }])
    const late = await store.append('old', [{ type: 'late' }], { fence: { job: 'b', token: 2 } })
    expect(late).toMatchObject({ ok: false, reason: 'fence' })
    await store.append('old', [{ type: 'more' }], { run: { tags: ['red'] } })
    await store.append('new', [{ type: 'began' }], { run: { tags: ['red'] } })
    expect((await store.runs.list({ tag: 'red' })).map(({ runId }) => runId)).toEqual(['new', 'old'])
    // Like an instance of that release, which still runs while others are updated.
    const idOf = (name: string): string => `(SELECT id FROM ${schema}.nq_stream WHERE name = '${name}')`
    await query(
      `INSERT INTO ${schema}.nq_event (stream, seq, ts, xid, type) VALUES (${idOf('old')}, 3, 1, '1', 'theirs')`,
    )
    await query(`DELETE FROM ${schema}.nq_event WHERE stream = ${idOf('new')}`)
    expect((await store.read('old')).map(({ type }) => type)).toEqual(['began', 'more', 'theirs'])
    expect(await store.read('new')).toEqual([])
  })
})
