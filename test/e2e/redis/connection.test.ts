import { Redis } from 'ioredis'
import type { StreamMessage } from 'nuxt-queue'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startRedis } from '../../services/redis.ts'
import { application, collect, until } from './rig.ts'

type Server = Awaited<ReturnType<typeof startRedis>>
let server: Server
let admin: Redis
beforeAll(async () => {
  server = await startRedis()
  admin = new Redis(server.url)
})
afterAll(async () => {
  admin.disconnect()
  await server.stop()
})

/** Why an application does not start. */
async function refusal(redis: object): Promise<unknown> {
  const error: unknown = await application(redis).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return (error as { cause?: unknown } | undefined)?.cause
}

describe('two databases of one server', () => {
  it('separate jobs, events and messages by prefix', async () => {
    const [first, second] = await Promise.all([0, 1].map((db) => application({ url: `${server.url}/${db}` })))
    const got: StreamMessage[][] = [[], []]
    for (const [index, kernel] of [first!, second!].entries()) {
      await kernel.port('events').subscribe('*', { onMessage: (message) => void got[index]!.push(message) }, () => {})
    }
    const message = (type: string): StreamMessage[] => [{ type, data: 1 }]
    await second!.port('events').publish('s', message('to second'))
    await first!.port('events').publish('s', message('to first'))
    await until(() => got[0]!.length > 0 && got[1]!.length > 0)
    expect(got.map((messages) => messages.map(({ type }) => type))).toEqual([['to first'], ['to second']])
    await second!.enqueue({ queue: 'q', name: 'w' })
    expect(await first!.port('queue').getQueues()).toEqual([])
  })

  it('a cancel on one ends no run of the other', async () => {
    const [first, second] = await Promise.all([2, 3].map((db) => application({ url: `${server.url}/${db}` })))
    const gate = Promise.withResolvers<void>()
    const active = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const jobs = await Promise.all(
      [first!, second!].map(async (kernel, index) => {
        const handler = async (): Promise<string> => {
          active[index]!.resolve()
          await gate.promise
          return 'done'
        }
        await kernel.registerWorker({ id: 'w', handler })
        await kernel.start()
        return kernel.enqueue('w', 1, { id: 'same', runId: 'same' })
      }),
    )
    await Promise.all(active.map(({ promise }) => promise))
    const cancelled = expect(first!.result(jobs[0]!)).rejects.toMatchObject({ code: 'JOB_CANCELLED' })
    expect(await first!.cancel(jobs[0]!)).toBe(true)
    await cancelled
    gate.resolve()
    expect(await second!.result(jobs[1]!)).toBe('done')
  })
})

describe('invalid settings are rejected at the start with the reason', () => {
  it.each([
    ['a database that does not exist', (url: string) => ({ url: `${url}/99` }), /DB index is out of range/],
    ['a database that is not a number', (url: string) => ({ url: `${url}/x` }), /number of a database; got "x"/],
    ['a database that begins with a number', (url: string) => ({ url: `${url}/5x` }), /number of a database; got "5x"/],
    [
      'a database that is not a number, as an option',
      (url: string) => ({ url, options: { db: NaN } }),
      /integer from 0/,
    ],
    [
      'another scheme',
      (url: string) => ({ url: url.replace('redis', 'http') }),
      /must begin with redis:\/\/ or rediss:\/\//,
    ],
    ['an invalid URL', () => ({ url: 'redis://weird:p@ss:w/rd#%@host' }), /Percent-encode/],
    ['the option keyPrefix', (url: string) => ({ url, options: { keyPrefix: 'mine:' } }), /redis\.prefix/],
    ['keyPrefix in a URL', (url: string) => ({ url: `${url}/0?keyPrefix=mine` }), /redis\.prefix/],
    ['a wrong password', (url: string) => ({ url: url.replace('//', '//nobody:nothing@') }), /WRONGPASS/],
  ])('%s', async (_what, options, message) => {
    const before = await admin.dbsize()
    expect(await refusal(options(server.url))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message) as string,
    })
    // Keys of earlier tests may expire meanwhile.
    expect(await admin.dbsize()).toBeLessThanOrEqual(before)
  })

  it.each([
    ['scripts', '+@all -@scripting ~* &*'],
    ['its keys', '+@all ~other:* &*'],
    ['its channels', '+@all ~* resetchannels'],
  ])('a user without the right to %s', async (what, rights) => {
    const name = what.replace(' ', '-')
    await admin.call('ACL', 'SETUSER', name, 'reset', 'on', '>secret', ...rights.split(' '))
    const reason = await refusal({ url: server.url.replace('//', `//${name}:secret@`) })
    expect(reason).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(/ACL SETUSER/) as string })
  })

  it('a user with the rights that the message names can use everything', async () => {
    const rights =
      '+@read +@write +@scripting +@pubsub +@connection +@transaction +time ~limited:* ~{limited:* &{limited:*'
    await admin.call('ACL', 'SETUSER', 'limited', 'reset', 'on', '>secret', ...rights.split(' '))
    const reports = collect()
    const url = server.url.replace('//', '//limited:secret@')
    const kernel = await application({ url, prefix: 'limited', checkServer: true }, reports)
    await kernel.registerWorker({ id: 'w', config: { concurrencyPerKey: 1 }, handler: () => 'done' })
    await kernel.start()
    const job = await kernel.enqueue('w', 1, { concurrencyKey: 'k', delay: 20 })
    expect(await kernel.result(job)).toBe('done')
    expect(await kernel.port('queue').getJobCounts(job.queue)).toMatchObject({ failed: 0 })
    expect(reports).toMatchObject({ errors: [], warnings: [] })
  })
})
