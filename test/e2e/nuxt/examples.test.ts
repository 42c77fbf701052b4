import { join } from 'pathe'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sharedPostgres } from '../../services/postgres.ts'
import { sharedRedis } from '../../services/redis.ts'
import { createApp, type App } from './app.ts'
import { checkBuilt, clientCode, CONFIGS, files, PLAIN, TIMEOUT } from './examples.ts'
import { addedWarnings } from './warnings.ts'

const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
const endings: (() => unknown)[] = [() => redis.stop(), () => postgres.stop()]
const onEnd = (callback: () => unknown): void => void endings.unshift(callback)
afterAll(async () => {
  for (const end of endings) await end()
})

/** Prints what the configuration of each of these folders comes to once Nuxt and the module have read it. */
const SHOW = `import { loadNuxt } from 'nuxt/kit'
for (const name of ['file', 'redis', 'postgres']) {
  const nuxt = await loadNuxt({ cwd: import.meta.dirname + '/' + name, dev: false, ready: false })
  let queue
  nuxt.hook('nitro:init', (nitro) => (queue = nitro.options.runtimeConfig.queue))
  await nuxt.ready()
  console.log(name + ' comes to ' + JSON.stringify(queue))
  await nuxt.close()
}
process.exit()
`

// A build takes long, and is the same for all adapters: the environment chooses one.
describe('an application without a configuration, built', () => {
  let app: App
  let output = ''
  beforeAll(async () => {
    app = await createApp('built', files(CONFIGS.memory), { onEnd })
    output = await app.build()
  }, TIMEOUT)

  it('says what to set if no adapter is chosen', async () => {
    const { code, output } = await app.program('index.mjs')
    expect(code).toBe(1)
    expect(output).toContain('Set REDIS_URL or DATABASE_URL, or set "preset" or "adapter" in the configuration.')
  })

  it.each([
    ['file', () => ({ NUXT_QUEUE_ADAPTER: 'file', NUXT_QUEUE_FILE_PATH: join(app.folder, '.nuxt-queue') })],
    ['redis', () => ({ REDIS_URL: redis.url })],
    ['postgres', () => ({ DATABASE_URL: postgres.url })],
  ] as const)('%s: it runs jobs in all languages from anywhere, and they are there after a restart', async (_, env) => {
    await checkBuilt(app, env())
  })

  it(
    'adds no warning to the build, and no worker to what browsers are sent',
    async () => {
      const plainBuild = async (): Promise<string> => (await createApp('plain', PLAIN)).build()
      expect(await addedWarnings(output, plainBuild)).toEqual([])
      expect(await clientCode(app)).not.toContain('hello ')
    },
    TIMEOUT,
  )
})

it('the configurations of the documentation equal these variables', async () => {
  const { file, redis, postgres } = CONFIGS
  const app = await createApp('shown', {
    'show.mjs': SHOW,
    'file/nuxt.config.ts': file,
    'redis/nuxt.config.ts': redis,
    'postgres/nuxt.config.ts': postgres,
  })
  const { output } = await app.script('show.mjs')
  const shown = [...output.matchAll(/^(\w+) comes to (.*)$/gm)].map(([, name, queue]) => [name, JSON.parse(queue!)])
  expect(Object.fromEntries(shown)).toEqual({
    file: { adapter: 'file', file: { path: '.nuxt-queue' } },
    redis: { adapter: 'redis', redis: {} },
    postgres: { adapter: 'postgres', postgres: {} },
  })
})
