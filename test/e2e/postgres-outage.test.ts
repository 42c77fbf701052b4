import { connect, createServer, type AddressInfo } from 'node:net'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Kernel, StoredEvent } from '../../index.ts'
import { startPostgres } from '../services/postgres.ts'
import { turnAway, type Service } from '../services/service.ts'
import { openKernel } from './postgres-rig.ts'

let service: Service
const warnings: string[] = []
const reporter = { warn: (message: string) => void warnings.push(message), error: () => {} }

beforeAll(async () => {
  service = await startPostgres()
})
afterAll(() => service.stop())

/** Two instances: one works, one enqueues and follows. */
async function open(schema: string): Promise<{ worker: Kernel; other: Kernel; close: () => Promise<void> }> {
  const worker = await openKernel(service.url, schema, reporter)
  const other = await openKernel(service.url, schema)
  await worker.registerWorker({
    id: 'double',
    config: { queue: 'double', concurrency: 5 },
    handler: ({ data }) => 2 * (data as number),
  })
  await worker.start()
  const close = async (): Promise<void> => {
    await worker.close({ timeout: 1000 })
    await other.close({ timeout: 0 })
  }
  return { worker, other, close }
}

/** Uses a short timeout of calls. The schema exists before, because its creation may take longer. */
async function openImpatient(schema: string): Promise<Kernel> {
  await (await openKernel(service.url, schema)).close()
  return openKernel(service.url, schema, undefined, { query_timeout: 1000 })
}

async function double(kernel: Kernel, n: number): Promise<unknown> {
  const job = await kernel.enqueue({ queue: 'double', name: 'double' }, n)
  return kernel.result(job, { timeout: 60_000 })
}

/** A message of the protocol that ends a connection. */
function fatal(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`)
  const head = Buffer.from('E....')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

/** A proxy between a client and the server. It can append a message to the data of the server, in the same packet. */
async function startProxy(to: string, lastWord: (sent: Buffer) => Buffer | undefined) {
  const [target, url] = [new URL(to), new URL(to)]
  const proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname)
    client.pipe(server)
    for (const socket of [client, server]) socket.on('error', () => client.destroy())
    server.on('data', (sent) => {
      const word = lastWord(sent)
      if (word) client.end(Buffer.concat([sent, word]))
      else client.write(sent)
    })
    server.on('end', () => client.end())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  url.port = String((proxy.address() as AddressInfo).port)
  return { url: url.href, [Symbol.asyncDispose]: async () => void proxy.close() }
}

describe('an adapter whose PostgreSQL fails', () => {
  it('reports a kill of the server once, and its workers and followers resume by themselves', async () => {
    const { other, close } = await open('killed')
    expect(await double(other, 1)).toBe(2)
    warnings.length = 0
    await service.kill()
    const waiting = double(other, 2)
    await turnAway(service.port, 5)
    await service.restart()
    expect(await waiting).toBe(4)
    expect(await double(other, 3)).toBe(6)
    expect(warnings.filter((message) => message.includes('is unavailable'))).toHaveLength(1)
    await close()
  })

  it('loses no event for a follower when every connection is cut, and its workers continue', async () => {
    const { other, close } = await open('cut')
    const seen: StoredEvent[] = []
    const all = Promise.withResolvers<void>()
    await other.port('events').subscribe('followed', { after: 0 }, (events) => {
      seen.push(...events)
      if (seen.length >= 40) all.resolve()
    })
    const admin = new Client({ connectionString: service.url })
    await admin.connect()
    const cut =
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()'
    for (let n = 1; n <= 20; n++) {
      if (n === 10) await admin.query(cut)
      await other.port('events').append('followed', [{ type: 'a' }, { type: 'b' }])
    }
    await admin.query(cut)
    expect(await double(other, 4)).toBe(8)
    await admin.query(cut)
    const fresh = await other.enqueue({ queue: 'never used before', name: 'x' })
    expect(await other.port('queue').getJob('never used before', fresh.id)).toMatchObject({ state: 'waiting' })
    await admin.end()
    await all.promise
    expect(seen.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1))
    await close()
  })

  it('stores each append once, and fails none, while connections are cut repeatedly', async () => {
    const kernel = await openKernel(service.url, 'cuts')
    const events = kernel.port('events')
    const admin = new Client({ connectionString: service.url })
    await admin.connect()
    const cuts = { made: 0, enough: 300 }

    /** Expects the next event of its own stream, and also writes to a shared stream. */
    async function write(caller: number): Promise<{ own: number; keyed: number; free: number }> {
      const done = { own: 0, keyed: 0, free: 0 }
      while (cuts.made < cuts.enough) {
        const [own, keyed, free] = await Promise.all([
          events.append(`own-${caller}`, [{ type: 'a' }, { type: 'b' }], { expectedSeq: 2 * done.own }),
          events.append('shared', [{ type: 'c', key: `${caller}-${done.keyed}` }]),
          events.append(`free-${caller}`, [{ type: 'd', data: done.free }]),
        ])
        expect(own).toMatchObject({ ok: true, head: 2 * done.own + 2 })
        expect(keyed).toMatchObject({ ok: true, events: [{ key: `${caller}-${done.keyed}` }] })
        expect(free).toMatchObject({ ok: true, head: done.free + 1 })
        done.own++
        done.keyed++
        done.free++
      }
      return done
    }

    const cut = `SELECT count(pg_terminate_backend(pid))::int AS count FROM pg_stat_activity
      WHERE application_name = 'nuxt-queue' AND query LIKE '%nq_append%'`
    const writers = Promise.all([1, 2, 3, 4].map(write))
    while (cuts.made < cuts.enough) cuts.made += (await admin.query<{ count: number }>(cut)).rows[0]!.count
    const written = await writers
    for (const [index, { own, free }] of written.entries()) {
      const [ownStored, freeStored] = await Promise.all([
        events.read(`own-${index + 1}`),
        events.read(`free-${index + 1}`),
      ])
      expect(ownStored.map(({ seq }) => seq)).toEqual(Array.from({ length: 2 * own }, (_, n) => n + 1))
      expect(freeStored.map(({ data }) => data)).toEqual(Array.from({ length: free }, (_, n) => n))
    }
    const shared = await events.read('shared')
    expect(shared).toHaveLength(written.reduce((sum, { keyed }) => sum + keyed, 0))
    expect(shared.map(({ seq }) => seq)).toEqual(shared.map((_, n) => n + 1))
    await admin.end()
    await kernel.close()
  })

  it('stores an append once that it sends again because the response is late', async () => {
    const kernel = await openImpatient('late')
    const events = kernel.port('events')
    await events.append('late', [{ type: 'a' }])
    const admin = new Client({ connectionString: service.url })
    await admin.connect()
    await admin.query('BEGIN')
    await admin.query(`SELECT FROM late.nq_stream WHERE name = 'late' FOR UPDATE`)
    const append = events.append('late', [{ type: 'b' }, { type: 'c', key: 'k' }], { expectedSeq: 1 })
    const waiting = `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE application_name = 'nuxt-queue' AND state = 'active' AND query LIKE '%nq_append%'`
    for (;;) {
      // Reads the statistics outside of the snapshot of the transaction.
      await admin.query('SELECT pg_stat_clear_snapshot()')
      if ((await admin.query<{ count: number }>(waiting)).rows[0]!.count >= 3) break
    }
    await admin.query('COMMIT')
    const result = await append
    expect(result).toMatchObject({ ok: true, head: 3, events: [{ type: 'b' }, { type: 'c' }] })
    expect((await events.read('late')).map(({ type }) => type)).toEqual(['a', 'b', 'c'])
    await admin.end()
    await kernel.close()
  })

  it('stores an append once that was aborted because of a deadlock', async () => {
    // The server checks a wait for a deadlock once. This timeout lets the other transaction begin its wait before the check of the kernel's.
    const kernel = await openKernel(service.url, 'crossed', undefined, { options: '-c deadlock_timeout=3s' })
    const events = kernel.port('events')
    await events.append('other', [{ type: 'a' }])
    const admin = new Client({ connectionString: service.url })
    await admin.connect()
    await admin.query(`SET deadlock_timeout = '1min'`)
    await admin.query('BEGIN')
    const insert = 'INSERT INTO crossed.nq_stream (name) VALUES ($1)'
    await admin.query(insert, ['b'])
    const run = { status: 'completed', name: 'n' } as const
    const appends = ['a', 'b'].map((stream) => events.append(stream, [{ type: 'x' }, { type: 'y' }], { run }))
    await expect
      .poll(async () => {
        const waiting = `SELECT count(*)::int AS count FROM pg_locks l JOIN pg_stat_activity a USING (pid)
          WHERE NOT l.granted AND a.query LIKE '%nq_append%' AND a.query NOT LIKE '%pg_locks%'`
        const other = new Client({ connectionString: service.url })
        await other.connect()
        const { rows } = await other.query<{ count: number }>(waiting)
        await other.end()
        return rows[0]!.count
      })
      .toBe(1)
    await admin.query(insert, ['a'])
    await admin.query('ROLLBACK')
    expect(await Promise.all(appends)).toMatchObject([
      { ok: true, head: 2 },
      { ok: true, head: 2 },
    ])
    expect((await events.read('a')).map(({ type }) => type)).toEqual(['x', 'y'])
    await admin.end()
    await kernel.close()
  })

  it('returns a job as new although it sends its enqueue again because the response is late', async () => {
    const kernel = await openImpatient('late_jobs')
    const target = { queue: 'mail', name: 'send' }
    await kernel.enqueue(target, 0, { id: 'before' })
    const admin = new Client({ connectionString: service.url })
    await admin.connect()
    await admin.query('BEGIN')
    await admin.query('LOCK TABLE late_jobs.job_common IN SHARE MODE')
    const jobs = kernel.enqueueMany([
      { worker: target, data: 1, options: { id: 'new' } },
      { worker: target, data: 1, options: { id: 'before' } },
    ])
    const waiting = `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE application_name = 'nuxt-queue' AND state = 'active' AND query LIKE '%nq_enqueue%'`
    for (;;) {
      await admin.query('SELECT pg_stat_clear_snapshot()')
      if ((await admin.query<{ count: number }>(waiting)).rows[0]!.count >= 3) break
    }
    await admin.query('COMMIT')
    expect((await jobs).map(({ id, deduplicated }) => [id, deduplicated])).toEqual([
      ['new', false],
      ['before', true],
    ])
    expect(await kernel.enqueue(target, 2, { id: 'new' })).toMatchObject({ deduplicated: true })
    await admin.end()
    await kernel.close()
  })

  it('ends each job once although the server is frozen for longer than a lease', async () => {
    const { worker, other, close } = await open('frozen')
    const started = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let runs = 0
    await worker.registerWorker({
      id: 'slow',
      config: { queue: 'slow' },
      async handler() {
        runs++
        started.resolve()
        await gate.promise
        return 'done'
      },
    })
    const job = await other.enqueue({ queue: 'slow', name: 'slow' })
    await started.promise
    await service.freeze(2500)
    gate.resolve()
    expect(await other.result(job, { timeout: 60_000 })).toBe('done')
    const ends = (await other.port('events').read(job.runId)).filter(({ type }) => type === 'step.completed')
    expect(ends).toHaveLength(1)
    expect(runs).toBeGreaterThanOrEqual(1)
    await close()
  })

  it('returns a complete response although the connection ends right after it, and connects again for the next call', async () => {
    const reason = 'terminating connection due to unexpected postmaster exit'
    await using proxy = await startProxy(service.url, (sent) =>
      sent.includes('goodbye') ? fatal('57P01', reason) : undefined,
    )
    const stray: unknown[] = []
    const note = (error: unknown): void => void stray.push(error)
    process.on('uncaughtException', note)
    const kernel = await openKernel(proxy.url, 'last_word')
    const db = kernel.port('postgres')
    expect(await db.query(`SELECT 'goodbye' AS word`)).toEqual([{ word: 'goodbye' }])
    expect(await db.query(`SELECT 'hello' AS word`)).toEqual([{ word: 'hello' }])
    await kernel.close()
    process.off('uncaughtException', note)
    expect(stray).toEqual([])
  })

  it('fails its setup and says which address it has tried', async () => {
    const nowhere = 'postgres://127.0.0.1:1/nothing'
    await expect(openKernel(nowhere, 'never')).rejects.toThrow(/cannot be reached.*DATABASE_URL/)
  })
})
