import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createKernel, redactError, redactText, serializeError } from '../../kernel/index.ts'
import { oneLine, pretty } from '../../plugins/integrations/cli/output.ts'
import dev from '../../presets/dev.ts'
import { startPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { serve } from '../unit/http/rig.ts'

const SECRET = 's3cret-Hunter2'

describe('a text', () => {
  it.each([
    [
      `connect to postgres://ada:${SECRET}@db.example:5432/shop failed`,
      'connect to postgres://***@db.example:5432/shop failed',
    ],
    [`rediss://:${SECRET}@host`, 'rediss://***@host'],
    [`redis://ada:${SECRET}@more@host:1`, 'redis://***@host:1'],
    [`Invalid URL: postgres://ada:${SECRET}/x?@db/shop`, 'Invalid URL: postgres://***@db/shop'],
    [`password=${SECRET} host=db`, 'password=*** host=db'],
    [`{"password": "${SECRET}", "host": "db"}`, '{"password": ***, "host": "db"}'],
    [`PGPASSWORD=${SECRET} psql`, 'PGPASSWORD=*** psql'],
    [`Authorization: Bearer ${SECRET}`, 'Authorization: ***'],
    [`sent Bearer ${SECRET}`, 'sent Bearer ***'],
    [`AUTH ada ${SECRET}`, 'AUTH ***'],
    [`QUEUE_TOKEN=${SECRET}`, 'QUEUE_TOKEN=***'],
    [`?api_key=${SECRET}&page=2`, '?api_key=***&page=2'],
  ])('%s', (text, redacted) => {
    expect(redactText(text)).toBe(redacted)
  })

  it.each([
    'There is no worker "mail". Known: hello, train.',
    'See https://example.com/@scope/package for more',
    'mail to ada@example.com',
    'GET http://localhost:3000/@vite/client and http://[::1]:3000/@id',
    'The signature in the header x-hub-signature-256 is missing',
    'a basic idea, and a bearer of news',
  ])('%s stays as it is', (text) => {
    expect(redactText(text)).toBe(text)
  })
})

describe('a hostile text', () => {
  it.each(['a.', 'a-', 'token-', '-secret', '://', 'a://a:', 'cookie: ', 'AUTH "', 'bearer '])(
    'of endless %s is read once, and not again from each character',
    (unit) => {
      // A pattern that starts again at each character takes minutes.
      for (const end of ['', '@', '"', '\n']) {
        const told = redactText(`AUTH pass1 word ${unit.repeat(200_000 / unit.length)}${end} password=${SECRET}`)
        expect(told).not.toContain(SECRET)
      }
    },
    60_000,
  )
})

describe('an error', () => {
  it('loses the data of drivers, and keeps its class, code and causes', () => {
    class ReplyError extends Error {}
    const inner = Object.assign(new ReplyError('NOAUTH'), { code: 'NOAUTH', command: { name: 'auth', args: [SECRET] } })
    const error = new TypeError(`redis://x:${SECRET}@h is away`, { cause: inner })
    const told = redactError(error) as Error & { cause: Error }
    expect(told).toBeInstanceOf(TypeError)
    expect(told.cause).toBeInstanceOf(ReplyError)
    expect(told.cause).toMatchObject({ code: 'NOAUTH', message: 'NOAUTH' })
    expect([told.stack, told.message, JSON.stringify(told.cause)].join()).not.toContain(SECRET)
    expect(error.message).toContain(SECRET)
  })

  it('loses nested data, in errors, objects and lists of drivers', () => {
    const address = `redis://ada:${SECRET}@h`
    const options = { password: SECRET, hosts: [address], plain: { n: 1 } }
    const last = Object.assign(new Error('away'), { command: { args: [SECRET] }, input: address })
    const chain = [1, 2, 3, 4, 5, 6, 7].reduce<Error>((cause) => new Error(address, { cause }), new Error(address))
    const error = Object.assign(new Error('all failed'), { lastNodeError: last, options, chain })
    const told = redactError(error) as typeof error
    expect(inspect(told, { depth: 20, showHidden: true })).not.toContain(SECRET)
    expect(told.lastNodeError).toMatchObject({ message: 'away', input: 'redis://***@h' })
    expect(told.options).toEqual({ password: '***', hosts: ['redis://***@h'], plain: { n: 1 } })
    expect(inspect(redactError({ error: last, options }), { depth: 20 })).not.toContain(SECRET)
    expect(inspect(options)).toContain(SECRET)
  })

  it('without secrets is unchanged', () => {
    const error = new Error('plain', { cause: new Error('deeper') })
    expect(redactError(error)).toBe(error)
  })

  it('is stored without credentials', () => {
    const stored = serializeError(
      new Error(`no route to redis://a:${SECRET}@h`, { cause: new Error(`password=${SECRET}`) }),
    )
    expect(JSON.stringify(stored)).not.toContain(SECRET)
  })
})

describe('planted secrets reach no log, no event and no answer', () => {
  it('of a handler that throws a connection string', async () => {
    const seen: unknown[] = []
    const reporter = { warn: (...all: unknown[]) => seen.push(all), error: (...all: unknown[]) => seen.push(all) }
    const kernel = await createKernel({ preset: dev, config: { registry: { dirs: [] } }, reporter })
    const error = new Error(`connect postgres://ada:${SECRET}@db failed`)
    await kernel.registerWorker({ id: 'leaky', handler: () => Promise.reject(error) })
    await kernel.start()
    const job = await kernel.enqueue('leaky')
    await expect(kernel.result(job)).rejects.toThrow('***')
    kernel.reporter.warn(`AUTH ${SECRET}`, error)
    const events = await kernel.port('events').read(job.runId)
    await kernel.close()
    expect(JSON.stringify(events)).toContain('***')
    expect(JSON.stringify(events)).not.toContain(SECRET)
    expect(seen).toHaveLength(1)
    expect(
      seen
        .flat(2)
        .map((one) => (one instanceof Error ? `${one.message}${one.stack}` : String(one)))
        .join(),
    ).not.toContain(SECRET)
  })

  it('of a connection that is refused, on Redis and Postgres', async () => {
    const [redis, postgres] = await Promise.all([startRedis(), startPostgres()])
    const settings = [
      { preset: prodRedis, config: { redis: { url: redis.url.replace('//', `//ada:${SECRET}@`) } } },
      { preset: prodPostgres, config: { postgres: { connectionString: withLogin(postgres.url, 'nobody') } } },
    ]
    for (const { preset, config } of settings) {
      const seen: string[] = []
      const tell = (message: string, detail?: unknown): void =>
        void seen.push(message, String((detail as Error)?.stack))
      const created = createKernel({
        preset,
        config: { ...config, registry: { dirs: [] } },
        reporter: { warn: tell, error: tell },
      })
      const error = await created.then(
        (kernel) => kernel.close().then(() => undefined),
        (reason: Error) => reason,
      )
      expect(error).toBeInstanceOf(Error)
      expect([...seen, error!.message, JSON.stringify(serializeError(error))].join()).not.toContain(SECRET)
    }
    await Promise.all([redis.stop(), postgres.stop()])
  })

  it('of an authorize that fails', async () => {
    const authorize = (): never => {
      throw new Error(`password=${SECRET}`)
    }
    await using rig = await serve({ authorize })
    const { status, body } = await rig.ask('queues')
    expect(status).toBe(500)
    expect(
      JSON.stringify(body) + rig.reports.map(({ detail }) => String((detail as Error).stack)).join(),
    ).not.toContain(SECRET)
  })
})

function withLogin(url: string, user: string): string {
  const own = new URL(url)
  return Object.assign(own, { username: user, password: SECRET }).href
}

describe('a line of the command line', () => {
  it.each([
    ['title \x1b]0;owned\x07', 'title \\u001b]0;owned\\u0007'],
    ['up \x1b[2A\x1b[2K', 'up \\u001b[2A\\u001b[2K'],
    ['two\nlines\r', 'two⏎lines\\u000d'],
    ['hidden \x1b[8m', 'hidden \\u001b[8m'],
    ['c1 \x9b2J', 'c1 \x9b2J'.replace('\x9b', '\\u009b')],
    ['rtl \u202e', 'rtl \\u202e'],
    ['own \x1b[31mred\x1b[39m', 'own \x1b[31mred\x1b[39m'],
  ])('%j cannot act on the terminal', (text, shown) => {
    expect(oneLine(text)).toBe(shown)
  })

  it('cannot be broken by a value that is shown completely', () => {
    const value = { ['\u202ekey']: '\x1b[2J', list: ['\x9b2J', '\u2028', 'a\nb'] }
    const text = pretty(value)
    // oxlint-disable-next-line no-control-regex -- the test looks for control characters
    expect(text).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]/)
    expect(text).toContain('\\u202e')
  })
})
