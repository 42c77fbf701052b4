import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../../services/redis.ts'
import { application } from './rig.ts'

/** So many ended jobs that a search walks through the index, and a backlog that is newer than all of them. */
const ENDED = 3100
const WAITING = 9000

it('walks through a backlog once when it searches for ended jobs, and sees each job of it that ends', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const client = new Redis(redis.url)
  onTestFinished(() => client.disconnect())
  const kernel = await application({ url: redis.url })
  await kernel.registerWorker({ id: 'w', config: { queue: 'q' }, handler: () => {} })
  const queue = kernel.port('queue')
  const add = (count: number) => kernel.enqueueMany(Array.from({ length: count }, (_, data) => ({ worker: 'w', data })))
  const ended = await add(ENDED)
  await Promise.all(ended.map(({ id }) => queue.cancel('q', id)))
  const backlog: { id: string }[] = []
  for (let n = 0; n < 12; n++) backlog.push(...(await add(WAITING / 12)))

  const states = ['completed', 'cancelled'] as const
  const search = async (after?: string) =>
    queue.findJobs!({ queue: 'q', states: [...states], limit: 20, ...(after && { after }) })
  const ids = async (): Promise<string[]> => (await search()).jobs.map(({ id }) => id)
  const lookups = async (): Promise<number> =>
    Number(/cmdstat_zmscore:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)

  const before = await lookups()
  const first = await search()
  const walk = (await lookups()) - before
  expect(first.jobs.map(({ state }) => state)).toEqual(Array.from({ length: 20 }, () => 'cancelled'))
  expect(await search()).toEqual(first)
  expect((await lookups()) - before - walk).toBeLessThan(walk * 0.6)
  const second = await search(first.next)
  expect(await search(first.next)).toEqual(second)
  expect(second.jobs[0]!.id).not.toBe(first.jobs.at(-1)!.id)

  const [more] = await add(1)
  const rest = first.jobs.map(({ id }) => id)
  expect(await ids()).toEqual(rest)
  const gone: string[] = []
  for (const { id } of [backlog[3500]!, more!, backlog[0]!, backlog.at(-1)!]) {
    expect(await queue.cancel('q', id)).toBe(true)
    gone.push(id)
    const found = await ids()
    expect(found.slice(0, gone.length).toSorted()).toEqual(gone.toSorted())
    expect(found.slice(gone.length)).toEqual(rest.slice(0, 20 - gone.length))
    expect(await ids()).toEqual(found)
  }
  await queue.retry('q', gone[1]!)
  expect((await ids()).slice(0, 3).toSorted()).toEqual([gone[0]!, gone[2]!, gone[3]!].toSorted())
})
