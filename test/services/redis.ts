import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { join } from 'pathe'
import { requireBinary } from './binaries.ts'
import { startService, type Service } from './service.ts'

export interface RedisServiceOptions {
  /** When a write reaches the disk. With `no`, there is no file, and a kill loses everything. Default `no`. */
  appendfsync?: 'always' | 'everysec' | 'no'
  maxmemoryPolicy?: string
}

/** A separate Redis. */
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

/** A Redis Cluster of three nodes without replicas. */
export async function startRedisCluster(): Promise<{ nodes: { host: string; port: number }[]; stop(): Promise<void> }> {
  const file = requireBinary('redis-server')
  const busOf = (port: number): number => (port < 50_000 ? port + 10_000 : port - 10_000)
  const start = (): Promise<Service> =>
    startService({
      name: 'redis-cluster',
      command: (folder, port) => ({
        file,
        args: [
          ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
          ...['--cluster-enabled', 'yes', '--cluster-port', String(busOf(port)), '--cluster-node-timeout', '5000'],
        ],
      }),
      url: (port) => `redis://127.0.0.1:${port}`,
      ping,
    })
  const services = await Promise.all([start(), start(), start()])
  const slots = [0, 5461, 10_923, 16_384]
  const clients = services.map(({ url }) => new Redis(url))
  for (const [index, client] of clients.entries()) {
    await client.cluster('ADDSLOTSRANGE', slots[index]!, slots[index + 1]! - 1)
    await client.cluster('SET-CONFIG-EPOCH', index + 1)
  }
  const [{ port }] = services
  for (const client of clients.slice(1)) await client.call('CLUSTER', 'MEET', '127.0.0.1', port, busOf(port))
  for (const client of clients) {
    while (!/cluster_state:ok[^]*cluster_known_nodes:3/.test(await client.cluster('INFO'))) await sleep(50)
    client.disconnect()
  }
  return {
    nodes: services.map((service) => ({ host: '127.0.0.1', port: service.port })),
    stop: async () => void (await Promise.all(services.map((service) => service.stop()))),
  }
}

/** A primary, its replica, and a Sentinel that replaces a dead primary by the replica within about a second. */
export async function startRedisSentinel() {
  const file = requireBinary('redis-server')
  const node = (replicaOf: string[]): Promise<Service> =>
    startService({
      name: 'redis',
      command: (folder, port) => ({
        file,
        args: [
          ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
          ...['--repl-diskless-sync-delay', '0', ...replicaOf],
        ],
      }),
      url: (port) => `redis://127.0.0.1:${port}`,
      ping,
    })
  const primary = await node([])
  const replica = await node(['--replicaof', '127.0.0.1', String(primary.port)])
  const client = new Redis(replica.url)
  while (!(await client.info('replication')).includes('master_link_status:up')) await sleep(50)
  client.disconnect()
  const sentinel = await startService({
    name: 'redis-sentinel',
    command(folder, port) {
      const config = join(folder, 'sentinel.conf')
      const watch = [`monitor main 127.0.0.1 ${primary.port} 1`, 'down-after-milliseconds main 300']
      const lines = [`port ${port}`, 'bind 127.0.0.1', ...watch.map((line) => `sentinel ${line}`)]
      writeFileSync(config, `${lines.join('\n')}\nsentinel failover-timeout main 3000\n`)
      return { file, args: [config, '--sentinel'] }
    },
    url: (port) => `redis://127.0.0.1:${port}`,
    ping,
  })
  const watcher = new Redis(sentinel.url)
  while (((await watcher.call('SENTINEL', 'REPLICAS', 'main')) as unknown[]).length === 0) await sleep(50)
  watcher.disconnect()
  return {
    sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
    name: 'main',
    primary,
    stop: async () => void (await Promise.all([primary, replica, sentinel].map((service) => service.stop()))),
  }
}

/** The server in `REDIS_URL`, or a server that is started here. */
export async function sharedRedis(): Promise<Pick<Service, 'url' | 'stop'>> {
  const { REDIS_URL: url } = process.env
  return url ? { url, stop: async () => {} } : startRedis()
}

/** Resolves once Redis has loaded its data. Until then, PING is rejected with LOADING. */
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
