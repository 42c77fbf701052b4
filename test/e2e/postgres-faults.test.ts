import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKernel, isQueueError, type Kernel, type StreamMessage } from '../../index.ts'
import { startPostgres } from '../services/postgres.ts'
import type { Service } from '../services/service.ts'
import { openKernel } from './postgres-rig.ts'

let service: Service
let admin: Client

beforeAll(async () => {
  service = await startPostgres()
  admin = new Client({ connectionString: service.url })
  admin.on('error', () => {})
  await admin.connect()
})
afterAll(async () => {
  await admin.end()
  await service.stop()
})

function collect() {
  const reports: string[] = []
  const report = (message: string): void => void reports.push(message)
  return { reports, reporter: { warn: report, error: report } }
}

/** Returns the code of an error, or that of its cause. */
async function codesOf(call: () => Promise<unknown>): Promise<(string | undefined)[]> {
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return [error, (error as Error | undefined)?.cause].map((one) => (isQueueError(one) ? one.code : undefined))
}

function urlWith(change: (url: URL) => void): string {
  const url = new URL(service.url)
  change(url)
  return url.href
}

/** Runs one job and returns its result. */
async function echo(kernel: Kernel, data: unknown): Promise<unknown> {
  await kernel.registerWorker({ id: 'echo', handler: (job) => job.data })
  await kernel.start()
  return kernel.result(await kernel.enqueue('echo', data), { timeout: 60_000 })
}

describe('unusual setups of PostgreSQL', () => {
  it('accepts a schema name in any case, and a keyword as its name', async () => {
    for (const schema of ['MyQueue', 'select']) {
      const kernel = await openKernel(service.url, schema)
      expect(await echo(kernel, schema)).toBe(schema)
      await kernel.close()
    }
    const { rows } = await admin.query(`SELECT nspname FROM pg_namespace WHERE nspname ILIKE 'myqueue'`)
    expect(rows).toEqual([{ nspname: 'MyQueue' }])
  })

  it('works for a user who owns only the schema', async () => {
    await admin.query('CREATE ROLE lodger LOGIN; CREATE SCHEMA lodging AUTHORIZATION lodger')
    const url = urlWith((one) => (one.username = 'lodger'))
    const kernel = await openKernel(url, 'lodging')
    expect(await echo(kernel, 1)).toBe(1)
    await kernel.close()
    expect(await codesOf(() => openKernel(url, 'elsewhere'))).toEqual(['STORE_REFUSED', 'STORE_REFUSED'])
  })

  it('works with a database whose strings have escapes', async () => {
    await admin.query('CREATE DATABASE escapes')
    await admin.query('ALTER DATABASE escapes SET standard_conforming_strings = off')
    const kernel = await openKernel(
      urlWith((one) => (one.pathname = '/escapes')),
      'nq_escapes',
    )
    expect(await echo(kernel, 'a\\b')).toBe('a\\b')
    await kernel.close()
  })

  it('fails its setup with a code for a string that is no connection string, and never shows it', async () => {
    for (const url of ['not a url', 'http://host/db', 'postgres://me:s3cret#%@host/db']) {
      const failure = await openKernel(url, 'never').then(
        () => new Error('It was set up.'),
        (error: unknown) => error as Error,
      )
      expect([failure.cause, failure.message]).toEqual([
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
        expect.not.stringContaining('s3cret'),
      ])
    }
  })

  it('encrypts as the pool is configured, independent of the connection string', async () => {
    const url = urlWith((one) => one.searchParams.set('sslmode', 'verify-full'))
    expect(await codesOf(() => openKernel(url, 'encrypted'))).toContain('STORE_UNAVAILABLE')
    const kernel = await openKernel(url, 'encrypted', undefined, { ssl: false })
    await kernel.close()
  })

  it('reports at once that it is read-only, at the start and later', async () => {
    await admin.query('CREATE DATABASE museum')
    const url = urlWith((one) => (one.pathname = '/museum'))
    const kernel = await openKernel(url, 'nq_museum')
    await admin.query('ALTER DATABASE museum SET default_transaction_read_only = on')
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'museum'`)
    expect(await codesOf(() => kernel.enqueue({ queue: 'q', name: 'n' }))).toEqual(['STORE_REFUSED', undefined])
    expect(await codesOf(() => openKernel(url, 'nq_museum'))).toEqual(['STORE_REFUSED', 'STORE_REFUSED'])
    await kernel.close()
  })
})

describe('misuse of PostgreSQL', () => {
  it('ignores and reports notifications that are not messages', async () => {
    const { reports, reporter } = collect()
    const stray: unknown[] = []
    const note = (error: unknown): void => void stray.push(error)
    process.on('unhandledRejection', note)
    const kernel = await openKernel(service.url, 'nq_notified', reporter)
    const events = kernel.port('events')
    const arrived = Promise.withResolvers<StreamMessage>()
    const stored = Promise.withResolvers<string>()
    const onMessage = (message: StreamMessage): void => arrived.resolve(message)
    await events.subscribe('r', { onMessage }, ([event]) => stored.resolve(event!.type))
    const { rows } = await admin.query<{ body: string }>(
      `SELECT prosrc AS body FROM pg_proc WHERE proname = 'nq_append' AND pronamespace = 'nq_notified'::regnamespace`,
    )
    const channel = /nq_[0-9a-f]{24}/.exec(rows.map(({ body }) => body).join(''))![0]
    const payloads = ['', '*', 'm', 'm{broken', 'mnull', 'm[]', 'm{"stream":"r"}', 'm{"stream":"r","messages":[null]}']
    for (const payload of [
      ...payloads,
      'r',
      'rubbish',
      `r${'9'.repeat(30)}`,
      'r1; DROP TABLE x',
      'e',
      'e?',
      '\u2028',
    ]) {
      await admin.query('SELECT pg_notify($1, $2)', [channel, payload])
    }
    await events.publish('r', [{ type: 'good' }])
    expect(await arrived.promise).toMatchObject({ type: 'good' })
    await events.append('r', [{ type: 'a' }])
    expect(await stored.promise).toBe('a')
    await kernel.close()
    process.off('unhandledRejection', note)
    expect(stray).toEqual([])
    expect(reports.filter((message) => message.includes('not a valid message'))).toHaveLength(1)
  })

  it('refuses an invalid cursor of "*" and one of another database, and keeps its connections', async () => {
    const { reports, reporter } = collect()
    const kernel = await openKernel(service.url, 'nq_cursors', reporter)
    const events = kernel.port('events')
    const codeOf = async (after: string): Promise<string | undefined> =>
      (await codesOf(async () => events.subscribe('*', { after }, () => {})))[0]
    for (const after of ['rubbish', '1.2', `${'9'.repeat(30)}.0.0`, '1.9999999999999999999999.0', '1.0.99999999999']) {
      expect([after, await codeOf(after)]).toEqual([after, 'OPTION_INVALID'])
    }
    expect(await codeOf('4000000000000.0.0')).toBe('EVENTS_TRIMMED')
    await events.append('r', [{ type: 'a' }])
    await kernel.close()
    expect(reports).toEqual([])
  })

  it('keeps a connection whose statement was refused', async () => {
    const kernel = await openKernel(service.url, 'nq_kept', undefined, { max: 1 })
    const db = kernel.port('postgres')
    const pid = async (): Promise<unknown> => (await db.query('SELECT pg_backend_pid() AS pid', []))[0]!.pid
    const before = await pid()
    await expect(db.query('SELECT $1::int', ['x'])).rejects.toMatchObject({ code: 'VALUE_UNSUPPORTED' })
    expect(await pid()).toBe(before)
    await kernel.close()
  })

  it('passes names of states as values', async () => {
    const kernel = await openKernel(service.url, 'nq_states')
    await kernel.enqueue({ queue: 'q', name: 'n' })
    const states = [`completed' OR 'a' = 'a` as 'completed']
    expect(await kernel.port('queue').getJobs({ queue: 'q', states })).toEqual([])
    await kernel.close()
  })
})

describe('a slow PostgreSQL', () => {
  it('fails a statement that always times out, names it, and does not report an outage', async () => {
    const { reports, reporter } = collect()
    const kernel = await openKernel(service.url, 'nq_slow', reporter, { options: '-c statement_timeout=300' })
    await kernel.enqueue({ queue: 'q', name: 'n' })
    await admin.query('BEGIN; LOCK TABLE nq_slow.job_common IN SHARE MODE')
    const failure = await kernel.enqueue({ queue: 'q', name: 'n' }).catch((error: unknown) => error as Error)
    expect(failure).toMatchObject({ code: 'STORE_TIMEOUT', message: expect.stringContaining('nq_enqueue') as string })
    await admin.query('COMMIT')
    expect(await kernel.enqueue({ queue: 'q', name: 'n' })).toMatchObject({ deduplicated: false })
    expect(reports.filter((message) => /is (?:away|back)/.test(message))).toEqual([])
    await kernel.close()
  }, 30_000)

  it('closes within seconds while it does not respond, and fails waiting calls', async () => {
    const kernel = await createKernel({
      preset: 'prod-postgres',
      config: { postgres: { url: service.url, schema: 'nq_frozen' }, registry: { dirs: [] }, abortGrace: 20 },
      reporter: collect().reporter,
    })
    await kernel.start()
    await kernel.enqueue({ queue: 'q', name: 'n' })
    await admin.query('BEGIN; LOCK TABLE nq_frozen.job_common IN SHARE MODE')
    const freezing = service.freeze(9000)
    const waiting = codesOf(() => kernel.enqueue({ queue: 'q', name: 'n' }))
    const order = await Promise.race([
      kernel.close({ timeout: 100 }).then(() => 'closed'),
      freezing.then(() => 'still closing when it answered again'),
    ])
    expect(order).toBe('closed')
    expect((await waiting)[0]).toBe('STORE_UNAVAILABLE')
    await admin.query('COMMIT')
    await freezing
  }, 30_000)
})
