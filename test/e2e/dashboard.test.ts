import { gzipSync } from 'node:zlib'
import axe from 'axe-core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createKernel, type Kernel } from 'nuxt-queue'
import { z } from 'zod'
import { startChromium } from '../services/chromium.ts'
import { LONG } from '../services/long.ts'

/** Markup whose scripts would run in a page that shows it as HTML. */
const MARKUP = `<img src=x onerror="document.title='hacked'">`
const TOKEN = 'a-token-of-enough-letters'

let browser: Browser
/** All tests share this context, because opening a separate one takes a second. */
let context: BrowserContext
let kernel: Kernel
let base: string
const problems: string[] = []

async function createServer(http: object = {}) {
  const made = await createKernel({ preset: 'dev', config: { registry: { dirs: [] }, http } })
  const { url } = await made.http.listen()
  return { kernel: made, url: `${url}/_queue/` }
}

async function open(screen: string, options: { at?: string } = {}): Promise<Page> {
  const page = await context.newPage()
  page.on('console', (line) => line.type() === 'error' && problems.push(line.text()))
  page.on('pageerror', (error) => problems.push(error.message))
  await page.goto(`${options.at ?? base}ui/#${screen}`)
  return page
}

/** Returns the serious findings of axe in a page. The debugger injects its script, because the policy of the page forbids it. */
async function faults(page: Page): Promise<string[]> {
  if (!(await page.evaluate(`'axe' in globalThis`))) await page.evaluate(`(() => { ${axe.source} })()`)
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
    const { violations } = await axe.run({ resultTypes: ['violations'] })
    return violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes[0]!.html }))
  })
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  return serious.map(({ id, html }) => `${id}: ${html}`)
}

beforeAll(async () => {
  ;[browser, { kernel, url: base }] = await Promise.all([startChromium(), createServer()])
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  await kernel.registerWorker({
    id: 'mail',
    config: { queue: MARKUP },
    handler: async (_job, ctx) => {
      await ctx.logger.error(MARKUP, { [MARKUP]: MARKUP })
      throw new Error(MARKUP)
    },
  })
  await kernel.registerWorker({
    id: 'greet',
    config: { queue: 'greetings', schedule: { cron: '0 3 1 1 *' }, rateLimit: { limit: 5, period: 1000 } },
    handler: () => ({ text: MARKUP }),
  })
  const book = { input: z.object({ to: z.string(), seats: z.int().default(2) }) }
  await kernel.registerWorker({
    id: 'book',
    config: { ...book, queue: 'trips', flow: { name: 'trip', role: 'entry', emits: ['booked'] } },
    async handler(job, ctx) {
      await ctx.state.set('to', (job.data as { to: string }).to)
      await ctx.flow.emit('booked', job.data)
    },
  })
  await kernel.registerWorker({
    id: 'fly',
    config: {
      ...{ queue: 'trips', flow: { name: 'trip', role: 'step', subscribes: 'booked' } },
      awaitBefore: { type: 'event', event: 'boarding' },
    },
    async handler(_job, ctx) {
      await ctx.state.set('to', 'arrived')
      return { seat: '12A' }
    },
  })
  await kernel.registerTrigger({ name: MARKUP, type: 'event', event: MARKUP })
  await kernel.start()
  await kernel.emitTrigger(MARKUP, { [MARKUP]: MARKUP }, { id: MARKUP })
  await kernel.flow('trip').start({ to: 'Oslo' }, { id: 'trip-1' })
  const failing = await kernel.enqueue('mail', { [MARKUP]: MARKUP })
  await kernel.enqueue('greet', { name: 'Ada' }, { id: 'greeting' })
  await kernel.enqueue('greet', { name: 'Grace' }, { id: 'later', delay: 3_600_000 })
  await failing.result().catch(() => {})
})
afterAll(async () => {
  await browser.close()
  await kernel.close()
})

it('is small, has a strict policy, and serves only its own files', async () => {
  const page = await fetch(`${base}ui/`)
  const html = await page.text()
  const policy = page.headers.get('content-security-policy')!
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toContain('unsafe')
  expect(html).not.toMatch(/<script>|<style|\son\w+=/)
  const files = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, path]) => path!)
  let bytes = 0
  for (const path of files) {
    const file = await fetch(`${base}ui/${path}`)
    expect(file.headers.get('cache-control')).toContain('immutable')
    expect(file.headers.get('x-content-type-options')).toBe('nosniff')
    bytes += gzipSync(await file.text()).length
  }
  expect(bytes).toBeGreaterThan(10_000)
  expect(bytes).toBeLessThan(120_000)
  for (const path of ['files.json', 'assets/..%2f..%2findex.html', '..%2fapi/queues', 'assets/', 'missing.js']) {
    expect((await fetch(`${base}ui/${path}`)).status, path).toBe(404)
  }
  const bare = await fetch(`${base}ui`, { redirect: 'manual' })
  expect([bare.status, bare.headers.get('location')]).toEqual([308, 'ui/'])
  expect((await fetch(`${base}ui/`, { method: 'POST' })).status).toBe(405)
})

const SCREENS: [screen: string, title: string][] = [
  ['/', 'Overview'],
  ['/queues', 'Queues'],
  [`/queues/${encodeURIComponent(MARKUP)}`, MARKUP],
  ['/jobs', 'Jobs'],
  ['/runs', 'Runs'],
  ['/jobs/greetings/later', 'greet'],
  ['/runs/trip-1', 'trip'],
  ['/runs/trip-1?view=graph', 'trip'],
  ['/runs/trip-1?view=events&seq=3', 'trip'],
  ['/runs/trip-1?view=state', 'trip'],
  ['/schedules?schedule=greet', 'Schedules and triggers'],
  [`/schedules?trigger=${encodeURIComponent(MARKUP)}`, 'Schedules and triggers'],
  ['/waits', 'Waits'],
  ['/instances', 'Instances'],
  ['/send?worker=book', 'Send'],
  ['/errors', 'Errors'],
  ['/audit', 'Audit'],
]

const DESKTOP = { width: 1280, height: 800 }
const PHONE = { width: 390, height: 844 }
const LOOKS = [
  { name: 'a desktop in light', size: DESKTOP, colorScheme: 'light' },
  { name: 'a phone in dark', size: PHONE, colorScheme: 'dark' },
  { name: 'a phone in light', size: PHONE, colorScheme: 'light' },
  { name: 'a desktop in dark', size: DESKTOP, colorScheme: 'dark' },
] as const

/** The screens use these alternately. In the long form, every screen uses each. */
const VIEWS = SCREENS.flatMap((screen, index) =>
  (LONG ? LOOKS : LOOKS.slice(index % 2, (index % 2) + 1)).map((look) => [look, ...screen] as const),
)

it('fits a desktop and a phone on every screen in both themes, with nothing that axe finds serious', async () => {
  const page = await open('/')
  for (const [{ name, size, colorScheme }, screen, title] of VIEWS) {
    await page.setViewportSize(size)
    await page.emulateMedia({ colorScheme })
    await page.goto(`${base}ui/#${screen}`)
    await page.getByRole('heading', { level: 1, name: title }).waitFor()
    expect(await faults(page), `${screen} on ${name}`).toEqual([])
    await page.setViewportSize(PHONE)
    expect(await page.evaluate('document.documentElement.scrollWidth'), screen).toBe(PHONE.width)
  }
  await page.close()
})

it('shows the data, names, logs and errors of jobs as text', async () => {
  const page = await open('/jobs?state=failed')
  await page.getByText(MARKUP).first().waitFor()
  await page.locator('[data-row]').first().click()
  await page.getByRole('log').getByText(MARKUP).first().waitFor()
  await page.getByRole('region', { name: 'Attempts' }).getByText(MARKUP).first().waitFor()
  await page.getByRole('region', { name: 'Data' }).getByText(MARKUP).first().waitFor()
  await page.goto(`${base}ui/#/schedules?trigger=${encodeURIComponent(MARKUP)}`)
  await page
    .getByRole('region', { name: `Deliveries of ${MARKUP}` })
    .getByText(MARKUP)
    .first()
    .waitFor()
  expect(await page.locator('img').count()).toBe(0)
  expect(await page.title()).not.toBe('hacked')
  await page.close()
})

it('is used with the keyboard alone, keeps its filters in the address, and survives a reload', async () => {
  const page = await open('/')
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
  await page.keyboard.press('3')
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor()
  await page.keyboard.press('f')
  await page.locator('input:focus').waitFor()
  await page.keyboard.type('queue:greet')
  await page.getByRole('option', { name: /queue: greetings/ }).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.waitForURL(/queue=greetings/)
  await page.keyboard.type('state:del')
  await page.getByRole('option', { name: /state: delayed/ }).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.waitForURL(/state=delayed/)
  await page.reload()
  await page.getByRole('button', { name: 'Remove the filter State' }).waitFor()
  await page.locator('[data-row]').first().waitFor()
  expect(await page.locator('[data-row]').count()).toBe(1)
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Run now' }).waitFor()
  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor({ state: 'detached' })
  await page.keyboard.press('ControlOrMeta+k')
  await page.getByRole('dialog').locator('input:focus').waitFor()
  await page.keyboard.type('greeting')
  await page.getByRole('option', { name: /Job in greetings/ }).click()
  await page.getByRole('heading', { level: 1, name: 'greet' }).waitFor()
  expect(page.url()).toContain('/jobs/greetings/greeting')
  await page.close()
})

it('asks once before an action, and shows its result without a reload', async () => {
  const page = await open('/queues')
  await page.getByRole('button', { name: 'Pause greetings' }).click()
  await page.getByRole('alertdialog').getByText('"greetings"').waitFor()
  await page.getByRole('button', { name: 'Pause', exact: true }).click()
  await page.getByRole('button', { name: 'Resume greetings' }).click()
  await page.getByRole('button', { name: 'Pause greetings' }).waitFor()
  await page.goto(`${base}ui/#/jobs/greetings/later`)
  await page.getByRole('button', { name: 'Run now' }).click()
  await page.locator('.page-header').getByText('completed').waitFor()

  await kernel.queue('greetings').pause()
  for (const id of ['first', 'second']) await kernel.enqueue('greet', {}, { id })
  await page.goto(`${base}ui/#/queues/greetings`)
  await page.getByRole('region', { name: 'Workers' }).getByText('5 in 1 s').waitFor()
  await page.getByRole('button', { name: 'Drain' }).click()
  await page
    .getByRole('alertdialog')
    .getByText(/^2 waiting jobs of "greetings"/)
    .waitFor()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Drain' }).click()
  await page.getByRole('button', { name: 'Drain' }).waitFor({ state: 'detached' })
  expect((await kernel.port('queue').getJobCounts('greetings')).waiting).toBe(0)
  await kernel.queue('greetings').resume()
  await page.close()
})

it('aborts a bulk action before it has begun, without an effect on any job', async () => {
  const { kernel: own, url } = await createServer()
  await own.registerWorker({ id: 'greet', config: { queue: 'greetings' }, handler: () => {} })
  // No worker has started, so that the bulk action waits.
  const job = await own.enqueue('greet', {}, { id: 'later', delay: 3_600_000 })
  const page = await open('/jobs?state=delayed', { at: url })
  await page.getByRole('checkbox', { name: 'Select greet later' }).check()
  await page.getByRole('button', { name: 'Select all matching jobs' }).click()
  await page.getByRole('toolbar', { name: 'Selection' }).getByRole('button', { name: 'Cancel' }).click()
  await page
    .getByRole('alertdialog')
    .getByText(/^1 job with/)
    .waitFor()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('button', { name: 'Abort' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Abort' }).click()
  const report = page.getByRole('region', { name: /^cancel / })
  await report.getByText('aborting').waitFor()
  await own.start()
  await report.getByText('aborted').waitFor()
  await report.getByText('0 done').waitFor()
  expect(await own.port('queue').getJob(job.queue, job.id)).toMatchObject({ state: 'delayed' })
  await page.close()
  await own.close()
})

it('shows a run at every moment, completes its wait, and forks it', async () => {
  const page = await open('/runs/trip-1')
  await page.locator('.page-header').getByText('waits').waitFor()
  await page.getByRole('region', { name: 'Steps' }).getByRole('button', { name: /^fly/ }).click()
  await page.waitForURL(/job=/)
  await page.getByRole('tab', { name: 'State' }).click()
  await page.getByRole('region', { name: 'State' }).getByText('"Oslo"').waitFor()
  await page.reload()
  await page.getByRole('button', { name: 'Send the event' }).click()
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.locator('.page-header').getByText('completed').waitFor()
  await page.getByRole('region', { name: 'State' }).getByText('"arrived"').waitFor()

  const events = await kernel.port('events').read('trip-1')
  const written = events.filter(({ type }) => type === 'state.set').map(({ seq }) => seq)
  await page.getByRole('slider').fill(String(written[1]))
  await page.getByRole('region', { name: 'Changes' }).getByText('"arrived"').waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('[')
  await page.waitForURL(new RegExp(`seq=${written[1]! - 1}`))
  await page.getByRole('region', { name: 'State' }).getByText('"Oslo"').waitFor()
  await page.locator('.page-header').getByText('waits').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Fork here' }).click()
  await page.getByRole('button', { name: 'Fork', exact: true }).click()
  await page.waitForURL((url) => !url.hash.includes('trip-1'))
  await page.getByRole('link', { name: 'trip-1' }).waitFor()
  await page.close()
})

it('sends data with a form for the schema of the worker, and shows validation errors', async () => {
  const page = await open('/send')
  await page.getByLabel('Worker or flow').selectOption('book')
  await page.getByLabel(/^seats/).fill('3')
  expect(await page.getByLabel(/^to/).inputValue()).toBe('')
  await page.getByLabel(/^seats/).fill('2.5')
  await page.getByLabel(/^to/).fill('Rome')
  await page.locator('form').evaluate((form: { noValidate: boolean }) => (form.noValidate = true))
  await page.getByRole('button', { name: 'Start a run of trip' }).click()
  await page.getByRole('alert').getByText(/seats/).waitFor()
  await page.getByLabel(/^seats/).fill('3')
  await page.getByRole('button', { name: 'Start a run of trip' }).click()
  await page.getByRole('region', { name: 'Input' }).getByText('"Rome"').waitFor()
  await page.close()
})

it('pauses and resumes a key of a queue, and changes its limits', async () => {
  const page = await open('/queues/greetings')
  const limits = page.getByRole('region', { name: 'Limits' })
  await limits.getByText('The queue itself has no limit.').waitFor()
  await limits.getByRole('button', { name: 'Pause a key' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Key').fill(MARKUP)
  await dialog.getByRole('button', { name: 'Pause' }).click()
  await limits.getByRole('list', { name: 'Paused keys' }).getByText(MARKUP).waitFor()
  expect(await kernel.queue('greetings').isPaused({ key: MARKUP })).toBe(true)
  expect(await faults(page)).toEqual([])
  await kernel.enqueue('greet', { name: 'Alan' }, { id: 'held', fairKey: MARKUP })
  const held = await open('/jobs/greetings/held')
  await held.getByText(`The jobs with key "${MARKUP}" of queue "greetings" have been paused`).waitFor()
  await held.close()

  await limits.getByRole('button', { name: 'Change' }).click()
  await dialog.getByLabel('Jobs at once').fill('5')
  await dialog.getByLabel('Jobs in a period').fill('many')
  await dialog.getByLabel('Length of the period').fill('1m')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await dialog.getByText('Jobs in a period: enter a whole number').waitFor()
  expect(await kernel.queue('greetings').limits()).toEqual({})
  await dialog.getByLabel('Jobs in a period').fill('100')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await limits.getByText('5 at once, 100 in 1 m').waitFor()
  expect(await kernel.queue('greetings').limits()).toEqual({ concurrency: 5, rate: { limit: 100, period: 60_000 } })

  await limits.getByRole('button', { name: `Resume ${MARKUP}` }).click()
  await limits.getByRole('list', { name: 'Paused keys' }).waitFor({ state: 'detached' })
  expect(await kernel.result({ queue: 'greetings', id: 'held' })).toEqual({ text: MARKUP })
  await kernel.queue('greetings').setLimits({ concurrency: null, rate: null })
  await page.close()
})

it('lets a browser in with a token, as a cookie that scripts cannot read', async () => {
  const closed = await createServer({ production: true })
  expect((await fetch(`${closed.url}ui/`)).status).toBe(404)
  await closed.kernel.close()

  const { kernel: own, url } = await createServer({ production: true, token: TOKEN })
  const page = await open('/queues', { at: url })
  await page.getByLabel('Token').fill('a-token-that-nobody-has')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('This server does not know the token.').waitFor()
  await page.getByLabel('Token').fill(TOKEN)
  expect(await faults(page)).toEqual([])
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { level: 1, name: 'Queues' }).waitFor()
  const [cookie, ...others] = await page.context().cookies()
  expect(others).toEqual([])
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/_queue/api' })
  expect(cookie!.value).not.toContain(TOKEN)
  expect(await page.evaluate('document.cookie')).toBe('')
  await page.getByRole('button', { name: 'Sign out' }).first().click()
  await page.getByLabel('Token').waitFor()
  expect(await page.context().cookies()).toEqual([])
  await page.close()
  await own.close()
})

it('shows a role that may only read no actions, and the server refuses them', async () => {
  const token = [{ token: TOKEN, role: 'read' as const }]
  const { kernel: own, url } = await createServer({ token })
  const config = { queue: 'greetings', schedule: { cron: '0 3 1 1 *' } }
  await own.registerWorker({ id: 'greet', config, handler: () => {} })
  await own.start()
  await own.enqueue('greet', {}, { id: 'later', delay: 3_600_000 })
  const page = await open('/queues', { at: url })
  await page.getByLabel('Token').fill(TOKEN)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('link', { name: 'greetings' }).waitFor()
  const screens = await page.getByRole('navigation', { name: 'Screens' }).getByRole('link').allTextContents()
  expect(screens).toContain('Audit')
  expect(screens).not.toContain('Send')
  const actions = page
    .getByRole('main')
    .getByRole('button', { name: /pause|redrive|run now|cancel|remove|retry|duplicate|change/i })
  expect(await actions.count()).toBe(0)
  await page.goto(`${url}ui/#/jobs`)
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor()
  await page.locator('[data-row]').waitFor()
  expect(await page.getByRole('checkbox').count()).toBe(0)
  await page.locator('[data-row]').click()
  await page.getByRole('region', { name: 'Explanation' }).waitFor()
  expect(await actions.count()).toBe(0)
  await page.goto(`${url}ui/#/schedules?schedule=greet`)
  await page.getByRole('region', { name: 'Next moments of greet' }).waitFor()
  expect(await page.getByRole('main').getByRole('button').count()).toBe(0)
  const headers = { authorization: `Bearer ${TOKEN}` }
  expect((await fetch(`${url}api/queues/greetings/pause`, { method: 'POST', headers })).status).toBe(403)
  await page.close()
  await own.close()
})

it('has reported no error and no violation of its policy', () => {
  expect(problems.filter((line) => !/status of 4(?:0[14]|22)/.test(line))).toEqual([])
})
