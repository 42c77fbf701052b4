import { once } from 'node:events'
import { connect } from 'node:net'
import { requireBinary } from './binaries.ts'
import { startService, type Service } from './service.ts'

export interface RedisServiceOptions {
  /** When a write reaches the disk. `no` keeps no file at all, and loses everything with a kill. Default `no`. */
  appendfsync?: 'always' | 'everysec' | 'no'
  maxmemoryPolicy?: string
}

/** A Redis of one's own. */
export function startRedis({
  appendfsync = 'no',
  maxmemoryPolicy = 'noeviction',
}: RedisServiceOptions = {}): Promise<Service> {
  const file = requireBinary('redis-server')
  const persistence =
    appendfsync === 'no' ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--appendfsync', appendfsync]
  return startService({
    name: 'redis',
    command: (folder, port) => ({
      file,
      args: [
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
        ...['--maxmemory-policy', maxmemoryPolicy, ...persistence],
      ],
    }),
    url: (port) => `redis://127.0.0.1:${port}`,
    ping,
  })
}

/** What `REDIS_URL` names, else one started here. */
export async function sharedRedis(): Promise<Pick<Service, 'url' | 'stop'>> {
  const { REDIS_URL: url } = process.env
  return url ? { url, stop: async () => {} } : startRedis()
}

/** Answers once Redis has loaded its data: until then PING is refused with LOADING. */
async function ping(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [reply] = (await once(socket, 'data')) as [Buffer]
    if (!reply.toString().startsWith('+PONG')) throw new Error(reply.toString())
  } finally {
    socket.destroy()
  }
}
