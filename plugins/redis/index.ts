import { definePlugin } from '../../kernel/index.ts'
import type { RedisClient, RedisPort } from '../_shared/redis.ts'
import { connectWithin, createConnector, disconnect, reportOutages } from './connect.ts'
import { redisOptions } from './options.ts'
import { checkServer } from './server-check.ts'

export type { RedisPort } from '../_shared/redis.ts'

/** The share of `setupTimeout` that connecting may take, so that its own error comes first. */
const CONNECT_SHARE = 0.8

/** How many shards of events there are unless the options say. */
const SHARDS = { cluster: 16, single: 1 } as const

/** One configured connection to Redis, for every plugin that stores in it. */
export default definePlugin({
  name: 'redis',
  options: redisOptions,
  async setup(kernel, options) {
    const open = await createConnector(options)
    const client = open()
    const others = new Set<RedisClient>()
    try {
      await connectWithin(client, kernel.config.setupTimeout * CONNECT_SHARE)
    } catch (error) {
      disconnect(client)
      throw error
    }
    reportOutages(client, kernel.reporter)
    if (options.checkServer) await checkServer(client, kernel.reporter)
    const port: RedisPort = {
      client,
      cluster: client.isCluster,
      prefix: options.prefix,
      lease: options.lease,
      shards: options.shards ?? SHARDS[client.isCluster ? 'cluster' : 'single'],
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
      for (const other of others) disconnect(other)
      disconnect(client)
    }
  },
})
