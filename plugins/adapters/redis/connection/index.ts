import { definePlugin, systemClock } from '../../../../kernel/index.ts'
import { isRefusal, unavailable, type RedisClient, type RedisPort } from '../lib/redis.ts'
import { createStoreClock } from '../../lib/store-clock.ts'
import { connectWithin, createConnector, describe, disconnect } from './connect.ts'
import { redisOptions } from './options.ts'
import { watchOutages, type OutageWatch } from './outage.ts'
import { checkRights } from './rights-check.ts'
import { checkServer } from './server-check.ts'

export type { RedisPort } from '../lib/redis.ts'

/** The share of `setupTimeout` that connecting may take, so that its own error comes first. */
const CONNECT_SHARE = 0.8

/** How many shards of events there are unless the options say. */
const SHARDS = { cluster: 16, single: 1 } as const

/** How long, in milliseconds, the key is kept that a check of health writes. */
const HEALTH_KEPT = 10_000

/** How often, in milliseconds, the clock of this machine is compared with that of Redis. */
const COMPARE_EVERY = 10_000

/** One configured connection to Redis, for every plugin that stores in it. */
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
    if (options.checkServer) await checkServer(client, kernel.reporter)
    const clock = createStoreClock(`Redis at ${describe(client)}`, kernel.reporter)
    const compareClocks = async (): Promise<void> => {
      const asked = Date.now()
      const [seconds, microseconds] = await client.time()
      clock.compare(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000), asked)
    }
    await compareClocks()
    const comparing = setInterval(() => void compareClocks().catch(() => {}), COMPARE_EVERY).unref()
    // Tests bring a clock of their own.
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
          await client.set(`${options.prefix}:health`, 1, 'PX', HEALTH_KEPT)
          watch.accepted()
        } catch (error) {
          if (!isRefusal(error)) throw error
          watch.refused(error)
          throw unavailable(error)
        }
      },
      connect() {
        const other = open()
        // The command connection tells of an outage; once is enough.
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
