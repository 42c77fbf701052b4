import { QueueError } from '../../../../kernel/index.ts'
import { hashTag, wakeChannel, type RedisClient } from '../lib/redis.ts'

/** Returns the rights that a user needs, in the syntax of `ACL SETUSER`. */
const rightsFor = (prefix: string): string =>
  `+@read +@write +@scripting +@pubsub +@connection +@transaction +time ~${prefix}:* ~{${prefix}:* &{${prefix}:*`

/** The errors of Redis for missing rights, outside of a script and inside. */
const DENIED = /^NOPERM|The user executing the script can't/

/**
 * Tries the kinds of commands that the adapters use, on separate keys, so that missing rights are reported at the start.
 *
 * @throws QueueError `CONFIG_INVALID` if Redis denies a command. The message says which rights to grant
 */
export async function checkRights(client: RedisClient, prefix: string, database: number): Promise<void> {
  const shard = hashTag(`${prefix}:s0`)
  const publish = client.isCluster ? 'SPUBLISH' : 'PUBLISH'
  // The message is an empty list of streams with new events, which has no effect.
  const script = `redis.call('TIME') redis.call('SET', KEYS[1], 1, 'PX', 1000) redis.call(ARGV[1], ARGV[2], 'e[]')`
  try {
    await client.set(`${prefix}:rights`, 1, 'PX', 1000)
    await client.call('eval', [script, 1, `${shard}:rights`, publish, wakeChannel(shard, database)])
  } catch (error) {
    if (!(error instanceof Error) || !DENIED.test(error.message)) return
    const hint = `Grant the rights: ACL SETUSER <user> ${rightsFor(prefix)}`
    const message = `The Redis user lacks rights that the queue needs: ${error.message}. ${hint}`
    throw new QueueError('CONFIG_INVALID', message, { cause: error })
  }
}
