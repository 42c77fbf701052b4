import { execFileSync, type ExecFileSyncOptions } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chownSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Client } from 'pg'
import { join } from 'pathe'
import { requireBinary } from './binaries.ts'
import { startService, type Service } from './service.ts'

export interface PostgresServiceOptions {
  /**
   * Whether a commit waits for the disk. Without it, a kill of the server also loses nothing. Only a
   * power failure would. Default false for tests. Benchmarks use true.
   */
  fsync?: boolean
  maxConnections?: number
}

const USER = 'postgres'

/** A separate PostgreSQL with an empty database `test`. */
export async function startPostgres({
  fsync = false,
  maxConnections = 200,
}: PostgresServiceOptions = {}): Promise<Service> {
  const file = requireBinary('postgres')
  const uid = process.getuid?.() === 0 ? USER : undefined
  // Each connection is a separate process. It starts and ends slower the more memory it shares.
  const careless = {
    // A commit must still reach the operating system, since tests kill the server and count what was acknowledged.
    ...{ fsync: 'off', full_page_writes: 'off' },
    ...{ shared_buffers: '32MB', wal_level: 'minimal', max_wal_senders: 0, jit: 'off' },
  }
  const settings = {
    ...{ listen_addresses: '127.0.0.1', max_connections: maxConnections },
    ...(fsync ? {} : careless),
  }
  return startService({
    name: 'postgres',
    prepare(folder) {
      own(folder, uid)
      execFileSync('cp', ['-a', emptyData(uid), join(folder, 'data')])
    },
    command: (folder, port) => ({
      file,
      uid,
      args: [
        ...['-D', join(folder, 'data'), '-p', String(port), '-k', folder],
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
    }),
    url: (port) => urlOf(port, 'test'),
    ping: (port) => query(urlOf(port, 'test'), 'SELECT 1'),
  })
}

const INITDB = ['-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-locale']

/** The data of a server with an empty database `test`. Its creation takes a second, so it is kept for all servers. */
function emptyData(uid: string | undefined): string {
  const version = execFileSync(requireBinary('postgres'), ['--version'], { encoding: 'utf8' })
  const key = createHash('sha256')
    .update([version, uid ?? process.getuid?.(), ...INITDB].join('\n'))
    .digest('hex')
  const kept = join(tmpdir(), `nuxt-queue-empty-postgres-${key.slice(0, 16)}`)
  if (existsSync(kept)) return kept
  const making = mkdtempSync(`${kept}-`)
  own(making, uid)
  const data = join(making, 'data')
  run(uid, requireBinary('initdb'), ['-D', data, ...INITDB], { cwd: making })
  run(uid, requireBinary('postgres'), ['--single', '-D', data, 'postgres'], {
    cwd: making,
    input: 'CREATE DATABASE test',
  })
  try {
    renameSync(data, kept)
  } catch (error) {
    // Another process has created it first.
    if (!existsSync(kept)) throw error
  }
  rmSync(making, { recursive: true, force: true })
  return kept
}

function own(folder: string, uid: string | undefined): void {
  if (uid === undefined) return
  const { uid: id, gid } = idsOf(uid)
  chownSync(folder, id, gid)
}

/** Runs a program of PostgreSQL as its user. */
function run(uid: string | undefined, file: string, args: string[], options: ExecFileSyncOptions): void {
  const user = uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
  const [program, ...rest] = uid === undefined ? [file, ...args] : [requireBinary('setpriv'), ...user, file, ...args]
  execFileSync(program, rest, {
    ...options,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'ignore', 'pipe'],
  })
}

/** The server in `DATABASE_URL`, or a server that is started here. */
export async function sharedPostgres(): Promise<Pick<Service, 'url' | 'stop'>> {
  const { DATABASE_URL: url } = process.env
  return url ? { url, stop: async () => {} } : startPostgres()
}

function urlOf(port: number, database: string): string {
  return `postgres://${USER}@127.0.0.1:${port}/${database}`
}

function idsOf(user: string): { uid: number; gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function query(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(sql)
  } finally {
    await client.end()
  }
}
