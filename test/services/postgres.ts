import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync } from 'node:fs'
import { Client } from 'pg'
import { join } from 'pathe'
import { requireBinary } from './binaries.ts'
import { startService, type Service } from './service.ts'

export interface PostgresServiceOptions {
  /**
   * Whether a commit waits for the disk. Without it a kill of the server loses nothing either, only a
   * power cut would. Default false, which is what tests want; benchmarks want true.
   */
  fsync?: boolean
  maxConnections?: number
}

const USER = 'postgres'

/** A PostgreSQL of one's own, with an empty database `test`. */
export async function startPostgres({
  fsync = false,
  maxConnections = 200,
}: PostgresServiceOptions = {}): Promise<Service> {
  const initdb = requireBinary('initdb')
  const file = requireBinary('postgres')
  const uid = process.getuid?.() === 0 ? USER : undefined
  // Each connection is a process of its own, which takes longer to start and to end the more memory it shares.
  const careless = {
    // A commit must still reach the operating system, since tests kill the server and count what was acknowledged.
    ...{ fsync: 'off', full_page_writes: 'off' },
    ...{ shared_buffers: '32MB', wal_level: 'minimal', max_wal_senders: 0, jit: 'off' },
  }
  const settings = {
    ...{ listen_addresses: '127.0.0.1', max_connections: maxConnections },
    ...(fsync ? {} : careless),
  }
  const service = await startService({
    name: 'postgres',
    prepare(folder) {
      mkdirSync(join(folder, 'data'))
      const args = ['-D', join(folder, 'data'), '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-locale']
      if (uid === undefined) return void execFileSync(initdb, args, { stdio: ['ignore', 'ignore', 'pipe'] })
      const { uid: id, gid } = idsOf(uid)
      for (const path of [folder, join(folder, 'data')]) chownSync(path, id, gid)
      const drop = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', initdb, ...args]
      execFileSync(requireBinary('setpriv'), drop, { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder })
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
    ping: (port) => query(urlOf(port, 'postgres'), 'SELECT 1'),
  })
  await query(urlOf(service.port, 'postgres'), 'CREATE DATABASE test')
  return service
}

/** What `DATABASE_URL` names, else one started here. */
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
