import { definePlugin, systemClock } from '../../../../kernel/index.ts'
import { isRefusal, unavailable, type RedisClient, type RedisPort } from '../lib/redis.ts'
import { createStoreClock } from '../../lib/store-clock.ts'
import { warnOf } from '../../lib/storage-library.ts'
import { connectWithin, createConnector, describe, disconnect } from './connect.ts'
import { redisOptions } from './options.ts'
import { watchOutages, type OutageWatch } from './outage.ts'
import { checkRights } from './rights-check.ts'
import { diagnoseServer } from './server-check.ts'

export type { RedisPort } from '../lib/redis.ts'

/** The share of `setupTimeout` that connecting may take, so that its error is thrown before the timeout of the setup. */
const CONNECT_SHARE = 0.8

/** The default number of event shards. */
const SHARDS = { cluster: 16, single: 1 } as const

/** The lifetime of the key that a health check writes, in milliseconds. */
const HEALTH_KEY_TTL = 10_000

/** How often the clock of this machine is compared with the clock of Redis, in milliseconds. */
const COMPARE_INTERVAL = 10_000

/** Provides one Redis connection to all plugins that store data in Redis. */
export default definePlugin({
  name: 'redis',
  options: redisOptions,
  async setup(kernel, options) {
    const others = new Set<RedisClient>()
    let outage: OutageWatch | undefined
    const { open, database } = await createConnector(options, (error) => outage?.refused(error))
    const client = open()
    try {
      await connectWithin(client, kernel.config.setupTimeout * CONNECT_SHARE)
      await checkRights(client, options.prefix, database)
    } catch (error) {
      disconnect(client)
      throw error
    }
    const watch = (outage = watchOutages(describe(client), kernel.reporter))
    client.on('error', (error: Error) => watch.lost(error))
    client.on('ready', () => watch.connected())
    if (options.checkServer) warnOf(await diagnoseServer(client), kernel.reporter)
    const clock = createStoreClock(`Redis at ${describe(client)}`, kernel.reporter)
    const compareClocks = async (): Promise<void> => {
      const asked = Date.now()
      const [seconds, microseconds] = await client.time()
      clock.compare(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000), asked)
    }
    await compareClocks()
    const comparing = setInterval(() => void compareClocks().catch(() => {}), COMPARE_INTERVAL).unref()
    // Tests provide their own clock.
    if (kernel.clock === systemClock) kernel.provide('clock', clock)
    const port: RedisPort = {
      client,
      cluster: client.isCluster,
      prefix: options.prefix,
      lease: options.lease,
      shards: options.shards ?? SHARDS[client.isCluster ? 'cluster' : 'single'],
      enqueueTimeout: options.enqueueTimeout,
      database,
      outage: watch,
      compareClock: clock.compare,
      async checkHealth() {
        if (client.status !== 'ready') throw watch.reason ?? unavailable(new Error('There is no connection.'))
        try {
          await client.set(`${options.prefix}:health`, 1, 'PX', HEALTH_KEY_TTL)
          watch.accepted()
        } catch (error) {
          if (!isRefusal(error)) throw error
          watch.refused(error)
          throw unavailable(error)
        }
      },
      async diagnose() {
        await compareClocks()
        return [...(await diagnoseServer(client)), clock.diagnose()]
      },
      connect() {
        const other = open()
        // The command connection reports outages, so the errors of other connections are ignored.
        other.on('error', () => {})
        other.on('end', () => others.delete(other))
        others.add(other)
        return other
      },
      onReconnect(callback) {
        client.on('ready', callback)
        return () => void client.off('ready', callback)
      },
    }
    kernel.provide('redis', port)
    return () => {
      clearInterval(comparing)
      watch.close()
      for (const other of others) disconnect(other)
      disconnect(client)
    }
  },
})
