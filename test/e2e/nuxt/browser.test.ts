import { join } from 'pathe'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startChromium } from '../../services/chromium.ts'
import { inLongForm, LONG } from '../../services/long.ts'
import { sharedPostgres } from '../../services/postgres.ts'
import { sharedRedis } from '../../services/redis.ts'
import type { App, Server } from './app.ts'
import { buildPlayground } from './playground-app.ts'
import { openChat } from './chat-page.ts'
import { apiOf, openPage, type RunPage } from './run-page.ts'

const TIMEOUT = 480_000
/** Three years of reports. */
const ROWS = 1500

const [redis, postgres] = await Promise.all([sharedRedis(), LONG ? sharedPostgres() : undefined])
const endings: (() => unknown)[] = [() => redis.stop(), () => postgres?.stop()]
const onEnd = (callback: () => unknown): void => void endings.unshift(callback)
let app: App
let browser: Browser

beforeAll(async () => {
  ;[app, browser] = await Promise.all([buildPlayground(onEnd), startChromium()])
  onEnd(() => browser.close())
})
afterAll(async () => {
  for (const end of endings) await end()
})

const PRESETS = {
  dev: {},
  'dev-file': {},
  'prod-redis': { REDIS_URL: redis.url, NUXT_QUEUE_REDIS_CHECK_SERVER: 'false' },
  'prod-postgres': { DATABASE_URL: postgres?.url ?? '' },
}

function start(preset: keyof typeof PRESETS, env: Record<string, string> = {}): Promise<Server> {
  const output = join(app.folder, 'output')
  return app.start({ NUXT_QUEUE_PRESET: preset, PLAYGROUND_OUTPUT: output, ...PRESETS[preset], ...env })
}

/** Waits until the page lists as many events as the run has. Returns the events of the page and those of the server. */
async function listed(tab: RunPage, server: Server, runId: string): Promise<[shown: string[], stored: string[]]> {
  const stored = await apiOf(server, runId).events()
  await tab.shows(stored.length)
  return [await tab.events(), stored]
}

it(
  'the playground type-checks with the declarations of the module',
  async () => {
    for (const part of ['app', 'server', 'node']) expect(await app.typeErrors(`.nuxt/tsconfig.${part}.json`)).toBe('')
  },
  TIMEOUT,
)

describe.each(['prod-redis', ...inLongForm('dev', 'prod-postgres')] as const)(
  'the page of the playground on %s',
  (preset) => {
    let server: Server
    beforeAll(async () => {
      server = await start(preset)
    }, TIMEOUT)
    afterAll(() => server.stop())

    it(
      'shows a run live, takes the approval, and shows the result and its state at an earlier event',
      async () => {
        const tab = await openPage(browser, server)
        expect(await tab.step('read').innerText()).toContain('to come')
        const runId = await tab.start(ROWS)
        await tab.connection('live')
        await tab.step('year').getByText('3 of 3 jobs').waitFor()
        await tab.status('Waiting for your approval')
        expect(await tab.page.getByRole('progressbar').getAttribute('value')).toBe('90')
        await tab.button('Approve').click()
        await tab.status('Completed')
        expect(await tab.step('report').innerText()).toMatch(/completed[^]*worked\s.*, waited\s/)
        expect(await tab.page.getByRole('region', { name: 'Result' }).innerText()).toMatch(/Strikes\s+1,474\s/)
        expect(await tab.page.getByRole('log').innerText()).toMatch(
          /1500 rows, 26 left out[^]*year[^]*1990: 453 strikes/,
        )
        await tab.page.waitForFunction('[...document.images].every(({ naturalWidth }) => naturalWidth > 0)')
        const [shown, stored] = await listed(tab, server, runId)
        expect(shown).toEqual(stored)

        const middle = stored.findIndex((line) => line.endsWith('step.completed year')) + 1
        await tab.page.getByRole('slider').fill(String(middle))
        const state = tab.page.getByRole('region', { name: 'State' })
        await state.getByText('As JSON').click()
        const api = apiOf(server, runId)
        const then = await api.state<object>(middle)
        expect(then).not.toEqual(await api.state<object>(stored.length))
        await expect.poll(async () => JSON.parse(await state.locator('pre').innerText()) as unknown).toEqual(then)
        await tab.page.locator('[data-seq="1"] button').click()
        await state.getByText('Nothing is in the state yet.').waitFor()
        await tab.button('Follow the run').click()
        await state.getByText('Years counted: 3').waitFor()
        await tab.page.goto(server.url)
        const past = tab.page.getByRole('region', { name: 'Past runs' })
        await past.getByText('completed').first().waitFor()
        expect(await past.getByRole('link').first().getAttribute('href')).toBe(`/?run=${runId}`)
        expect(tab.problems).toEqual([])
      },
      TIMEOUT,
    )

    it(
      'continues after a reload and in a second tab, without a missing or repeated event',
      async () => {
        const first = await openPage(browser, server)
        const runId = await first.start(ROWS)
        await first.step('read').getByText('completed').waitFor()
        await first.page.reload()
        const second = await openPage(browser, server, `/?run=${runId}`)
        for (const tab of [first, second]) await tab.status('Waiting for your approval')
        await first.page.reload()
        await second.button('Approve').click()
        for (const tab of [first, second]) {
          await tab.status('Completed')
          const [shown, stored] = await listed(tab, server, runId)
          expect(shown).toEqual(stored)
          expect(tab.problems).toEqual([])
        }
      },
      TIMEOUT,
    )

    it(
      'cancels a run that waits',
      async () => {
        const tab = await openPage(browser, server)
        const runId = await tab.start(ROWS)
        await tab.status('Waiting for your approval')
        await tab.button('Cancel').click()
        await tab.status('Cancelled')
        expect(await tab.button('Approve').count()).toBe(0)
        expect(await apiOf(server, runId).result()).toMatchObject({ status: 'cancelled' })
        expect(tab.problems).toEqual([])
      },
      TIMEOUT,
    )
  },
)

it.each(['prod-redis', ...inLongForm('prod-postgres')] as const)(
  'on %s the page survives a restart of its server: it reconnects by itself and receives the missed events',
  async (preset) => {
    const killed = await start(preset)
    const tab = await openPage(browser, killed)
    const runId = await tab.start(ROWS)
    await tab.status('Waiting for your approval')
    const [before] = await listed(tab, killed, runId)

    // The page cannot connect until the run has ended without it.
    await tab.page.route(/\/stream/, (route) => route.abort())
    await killed.stop('SIGKILL')
    await tab.connection('reconnecting')
    const server = await start(preset, { PORT: new URL(killed.url).port })
    const api = apiOf(server, runId)
    expect((await server.post(await api.approvalPath(), { approved: true })).ok).toBe(true)
    expect(await api.result()).toMatchObject({ status: 'completed' })
    expect(await tab.events()).toEqual(before)

    // A request that is already under way may pass, so the test waits for the first response.
    const comesBack = tab.page.waitForResponse(/\/stream/)
    await tab.page.unroute(/\/stream/)
    const answered = await comesBack
    expect(new URL(answered.url()).searchParams.get('after')).toBe(String(before.length))
    await tab.status('Completed')
    const [shown, stored] = await listed(tab, server, runId)
    expect(stored.length).toBeGreaterThan(before.length)
    expect(shown).toEqual(stored)
    await server.stop()
  },
  TIMEOUT,
)

it.each(['dev-file', ...inLongForm('prod-redis', 'prod-postgres')] as const)(
  'on %s, an answer of the chat is completed although its page was reloaded and its server was killed in the middle of it',
  async (preset) => {
    const env = { NUXT_QUEUE_FILE_PATH: join(app.folder, 'chat') }
    // The answer would take a minute, so it is not over before the server is killed. The next server is fast.
    const killed = await start(preset, { ...env, PLAYGROUND_WORD_MS: '700' })
    const tab = await openChat(browser, killed)
    await tab.button('How safe is this answer?').click()
    await tab.answer(/^As /)
    await tab.page.reload()
    await tab.answer(/^As safe/)
    const second = await openChat(browser, killed)
    await second.answer(/^As safe/)
    await killed.stop('SIGKILL')
    await using server = await start(preset, { ...env, PLAYGROUND_WORD_MS: '5', PORT: new URL(killed.url).port })
    for (const one of [tab, second]) await one.status('Ready')
    const [whole] = await tab.answers()
    expect(whole).toMatch(/^As safe as any job\..* In no case do you read anything twice\.$/)
    expect(await second.answers()).toEqual([whole])
    // In the tab that was not reloaded, no text was repeated, truncated or replaced.
    const shown = await second.shown()
    expect(shown.length).toBeGreaterThan(3)
    expect(shown.filter((text) => !whole!.startsWith(text))).toEqual([])
    expect(shown).toEqual(shown.toSorted((one, other) => one.length - other.length))

    await tab.page.getByLabel('Your question').fill('Refund order B7, please.')
    await tab.button('Send').click()
    await tab.status('Waiting for you')
    await second.page.reload()
    await second.button('Approve').click()
    for (const one of [tab, second]) await one.page.locator('[data-state=output-available]').waitFor()
    await tab.status('Ready')
    expect((await tab.answers()).at(-1)).toMatch(/^Done\./)
    await server.stop()
  },
  TIMEOUT,
)
