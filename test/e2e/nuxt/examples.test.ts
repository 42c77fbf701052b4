import { join } from 'pathe'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { readGuide } from '../../install/guide.ts'
import { startChromium } from '../../services/chromium.ts'
import { sharedPostgres } from '../../services/postgres.ts'
import { sharedRedis } from '../../services/redis.ts'
import { createApp, type App, type Server } from './app.ts'
import { checkBuilt, clientCode, CONFIGS, files, PLAIN, TIMEOUT } from './examples.ts'
import { addedWarnings } from './warnings.ts'

const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
const endings: (() => unknown)[] = [() => redis.stop(), () => postgres.stop()]
const onEnd = (callback: () => unknown): void => void endings.unshift(callback)
afterAll(async () => {
  for (const end of endings) await end()
})

/** Prints the configuration of each of these folders after Nuxt and the module have resolved it. */
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

/** The guide's own configuration opens the API. Without it, the API is closed. */
const SWITCH = `import guided from './guide.config'
export default process.env.GUIDED ? guided : {}
`

// A build takes long and is the same for all adapters, because the environment chooses the adapter.
describe('an application without a configuration, built', () => {
  let app: App
  let output = ''
  beforeAll(async () => {
    const { 'app/app.vue': page, 'nuxt-queue.config.ts': guided, ...guide } = (await readGuide('start/nuxt.md')).files
    const own = { 'app/app.vue': page!, 'guide.config.ts': guided!, 'nuxt-queue.config.ts': SWITCH }
    app = await createApp('built', { ...guide, ...files(CONFIGS.memory), ...own }, { onEnd })
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

  it('shows the page of the guide an error while the API is closed, and says so once, and a job live once the guide has opened it', async () => {
    const browser = await startChromium()
    onTestFinished(() => browser.close())
    const env = { NUXT_QUEUE_ADAPTER: 'file', NUXT_QUEUE_FILE_PATH: join(app.folder, '.guide') }
    const resize = async ({ url }: Server, shown: string): Promise<void> => {
      const page = await browser.newPage()
      await page.goto(url)
      await page.waitForFunction('window.useNuxtApp?.().isHydrating === false')
      await page.getByRole('button', { name: 'Resize' }).click()
      await page.getByText(shown, { exact: true }).waitFor({ timeout: 60_000 })
      await page.close()
    }
    const closed = await app.start(env)
    await resize(closed, 'error')
    expect(closed.output().match(/The HTTP API is closed/g)).toHaveLength(1)
    expect(await closed.stop()).toBe(0)
    const open = await app.start({ ...env, GUIDED: 'yes' })
    await resize(open, '4 pictures')
    expect(open.output()).not.toContain('The HTTP API is closed')
    expect(await open.stop()).toBe(0)
  })

  it(
    'adds no warning to the build, and no worker to the code for browsers',
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
