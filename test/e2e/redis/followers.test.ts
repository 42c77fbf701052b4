import { Redis } from 'ioredis'
import type { ReadOptions, StoredEvent } from 'nuxt-queue'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createFollower } from '../../../plugins/adapters/redis/events/follower.ts'
import { sharedRedis } from '../../services/redis.ts'
import { application, collect, until } from './rig.ts'

let server: Awaited<ReturnType<typeof sharedRedis>>
let admin: Redis
beforeAll(async () => {
  server = await sharedRedis()
  admin = new Redis(server.url)
})
afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

it('a follower that was overtaken by a trim continues after it, and reports it', async () => {
  const events = (await application({ url: server.url, prefix: crypto.randomUUID() })).port('events')
  const reports = collect()
  let gate = Promise.resolve()
  const read = async (stream: string, options: ReadOptions): Promise<StoredEvent[]> => {
    await gate
    return events.read(stream, options)
  }
  const follower = createFollower('s', { read, head: async (stream) => events.head(stream) }, reports)
  const seqs: number[] = []
  await follower.add(0, (some) => void seqs.push(...some.map(({ seq }) => seq)))
  await events.append('s', [{ type: 'a' }, { type: 'b' }])
  follower.wake(2)
  await until(() => seqs.length === 2)
  const open = Promise.withResolvers<void>()
  gate = open.promise
  await events.append('s', [{ type: 'c' }, { type: 'd' }, { type: 'e' }])
  follower.wake(5)
  await events.snapshots.put('s', { reducer: 'x@1', seq: 4, state: {} })
  await events.trim('s', 4)
  open.resolve()
  await until(() => seqs.includes(5))
  expect(seqs).toEqual([1, 2, 5])
  expect(reports).toMatchObject({
    warnings: [expect.stringMatching(/miss the events 3 to 4, because they were trimmed/)],
    errors: [],
  })
  follower.stop()
})

it('foreign messages in a channel are ignored and reported once, and followers continue', async () => {
  const prefix = crypto.randomUUID()
  const reports = collect()
  const events = (await application({ url: server.url, prefix }, reports)).port('events')
  const types: string[] = []
  const messages: unknown[] = []
  const onMessage = (message: unknown): void => void messages.push(message)
  await events.subscribe('s', { onMessage }, (some) => void types.push(...some.map(({ type }) => type)))
  await events.subscribe('*', { onMessage }, () => {})
  const channel = `{${prefix}:s0}:wake`
  const garbage = [
    '',
    'e',
    'e[1]',
    'e["x",5]',
    'e{"length":2}',
    'e[NaN,"s"]',
    'e[1e300,"s"]',
    'enull',
    'm',
    'mnull',
    'm7',
  ]
  const worse = [
    'm{"stream":5}',
    'm{"stream":"s","messages":5}',
    'm{"stream":"s","messages":[null]}',
    'x',
    '\0\ufffd',
    '{}',
  ]
  for (const text of [...garbage, ...worse]) await admin.publish(channel, text)
  await events.append('s', [{ type: 'good' }])
  await events.publish('s', [{ type: 'hello' }])
  await until(() => types.length > 0 && messages.length === 2)
  expect(types).toEqual(['good'])
  expect(messages).toMatchObject([{ type: 'hello' }, { type: 'hello' }])
  expect(reports).toMatchObject({ warnings: [expect.stringMatching(/is not from nuxt-queue/)], errors: [] })
})
