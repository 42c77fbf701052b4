import { QueueError } from '../../../../kernel/index.ts'
import { hashTag, wakeChannel, type RedisClient } from '../lib/redis.ts'

/** What an access list has to grant, as `ACL SETUSER` takes it. */
const rightsFor = (prefix: string): string =>
  `+@read +@write +@scripting +@pubsub +@connection +@transaction +time ~${prefix}:* ~{${prefix}:* &{${prefix}:*`

/** How Redis says that a user may not do something, in a script and outside. */
const DENIED = /^NOPERM|The user executing the script can't/

/**
 * Tries what the adapters do, on keys of their own, so that a user without the rights is told at start which are
 * missing.
 *
 * @throws QueueError `CONFIG_INVALID` with what Redis refused and what to grant
 */
export async function checkRights(client: RedisClient, prefix: string, database: number): Promise<void> {
  const shard = hashTag(`${prefix}:s0`)
  const publish = client.isCluster ? 'SPUBLISH' : 'PUBLISH'
  // An empty list of streams that have something new, which nobody minds.
  const script = `redis.call('TIME') redis.call('SET', KEYS[1], 1, 'PX', 1000) redis.call(ARGV[1], ARGV[2], 'e[]')`
  try {
    await client.set(`${prefix}:rights`, 1, 'PX', 1000)
    await client.call('eval', [script, 1, `${shard}:rights`, publish, wakeChannel(shard, database)])
  } catch (error) {
    if (!(error instanceof Error) || !DENIED.test(error.message)) return
    const hint = `Grant it: ACL SETUSER <user> ${rightsFor(prefix)}`
    const message = `Redis does not allow what the queue needs: ${error.message}. ${hint}`
    throw new QueueError('CONFIG_INVALID', message, { cause: error })
  }
}
