import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKernel, type Kernel, type QueueConfig } from 'nuxt-queue'
import { startChromium } from '../services/chromium.ts'
import { inLongForm } from '../services/long.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { freePort } from '../services/service.ts'

/* The main path of each screen on each kind of store: one server, one browser and one page for each. */

let browser: Browser
beforeAll(async () => void (browser = await startChromium()))
afterAll(() => browser.close())

interface Store {
  preset: string
  config: QueueConfig
  stop?: () => Promise<unknown>
}

const STORES: Readonly<Record<'memory' | 'redis' | 'postgres', () => Promise<Store>>> = {
  memory: async () => ({ preset: 'dev', config: {} }),
  redis: async () => {
    const { url, stop } = await sharedRedis()
    return { preset: 'prod-redis', config: { redis: { url, prefix: crypto.randomUUID(), checkServer: false } }, stop }
  },
  postgres: async () => {
    const { url, stop } = await sharedPostgres()
    const schema = `ui_${crypto.randomUUID().slice(0, 8)}`
    return { preset: 'prod-postgres', config: { postgres: { url, schema } }, stop }
  },
}

let works = false

async function start({ preset, config }: Store, port: number): Promise<Kernel> {
  const kernel = await createKernel({ preset, config: { ...config, registry: { dirs: [] }, http: {} } })
  await kernel.registerWorker({
    id: 'mail',
    config: { queue: 'mail', trigger: { type: 'event', event: 'mail.wanted', name: 'wanted' } },
    async handler(_job, ctx) {
      await ctx.logger.info('connecting')
      if (!works) throw new Error('Mailbox 550 is full')
      return 'sent'
    },
  })
  await kernel.registerWorker({
    id: 'report',
    config: { queue: 'reports', schedule: { cron: '0 3 1 1 *' } },
    handler: () => 'written',
  })
  await kernel.registerWorker({
    id: 'book',
    config: { queue: 'trips', flow: { name: 'trip', role: 'entry', emits: ['booked'] } },
    async handler(job, ctx) {
      await ctx.state.set('to', (job.data as { to: string }).to)
      await ctx.flow.emit('booked', job.data)
    },
  })
  await kernel.registerWorker({
    id: 'fly',
    config: {
      queue: 'trips',
      flow: { name: 'trip', role: 'step', subscribes: 'booked' },
      awaitBefore: { type: 'event', event: 'boarding' },
    },
    handler: (_job, ctx) => ctx.state.set('to', 'arrived'),
  })
  await kernel.start()
  await kernel.http.listen({ port })
  return kernel
}

const heading = (page: Page, name: string) => page.getByRole('heading', { level: 1, name }).waitFor()
const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text })

async function seriousFaults(page: Page): Promise<string[]> {
  if (!(await page.evaluate(`'axe' in globalThis`))) await page.evaluate(`(() => { ${axe.source} })()`)
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
    const { violations } = await axe.run({ resultTypes: ['violations'] })
    return violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes[0]!.html }))
  })
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, html }) => id + html)
}

describe.each(['redis', ...inLongForm('memory', 'postgres')] as const)('the dashboard on %s', (name) => {
  let store: Store
  let kernel: Kernel
  let port: number
  let page: Page
  let base: string
  const open = (screen: string) => page.goto(`${base}#${screen}`)

  beforeAll(async () => {
    works = false
    ;[store, port] = await Promise.all([STORES[name](), freePort()])
    kernel = await start(store, port)
    base = `http://127.0.0.1:${port}/_queue/ui/`
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    page = await context.newPage()
  })
  afterAll(async () => {
    await page.context().close()
    await kernel.close()
    await store.stop?.()
  })

  it('finds a failed job, shows its reason, retries it, groups its error, and records who acted', async () => {
    await kernel.flow('trip').start({ to: 'Oslo' }, { id: 'trip-1' })
    const failing = await kernel.enqueue('mail', { to: 'ada' }, { id: 'm1', tags: ['vip'] })
    await kernel.enqueue('mail', { to: 'bob' }, { id: 'later', delay: 3_600_000 })
    await failing.result().catch(() => {})

    await open('/')
    await page.getByRole('link', { name: /failed\s*1$/i }).waitFor()
    await page.keyboard.press('2')
    await row(page, 'trips').waitFor()
    await open('/jobs?tag=vip&state=failed')
    await row(page, 'm1').getByText('Mailbox 550 is full').waitFor()
    await page.getByRole('link', { name: /m1/ }).click()
    await page
      .getByRole('region', { name: 'Explanation' })
      .getByText(/Mailbox 550 is full/)
      .waitFor()
    await page.getByRole('log').getByText('connecting').waitFor()
    works = true
    await page.keyboard.press('r')
    await page.locator('.page-header').getByText('completed').waitFor()

    await open('/errors')
    await page.getByRole('link', { name: /Mailbox … is full/ }).click()
    await page.getByRole('button', { name: 'Resolve' }).click()
    await page.locator('.page-header').getByText('resolved').waitFor()
    await open('/audit?action=jobs.retry')
    await row(page, 'job m1').getByText('done').waitFor()
    await open('/instances')
    await page.getByText('mail', { exact: true }).first().waitFor()
    expect(await seriousFaults(page)).toEqual([])
  })

  it('acts on the selected jobs, and keeps the chosen columns over a reload', async () => {
    works = true
    await open('/jobs?state=delayed&queue=mail')
    await page.getByRole('button', { name: 'Columns' }).click()
    await page.getByRole('menuitemcheckbox', { name: 'Priority' }).click()
    await page.keyboard.press('Escape')
    await page.waitForURL(/columns=.*priority/)
    await page.reload()
    await page.getByRole('columnheader', { name: 'Priority' }).waitFor()
    await page.getByRole('checkbox', { name: 'Select mail later' }).check()
    await page.getByRole('toolbar', { name: 'Selection' }).getByRole('button', { name: 'Run now' }).click()
    await page.getByText('done for 1 job').waitFor()
    await open('/jobs/mail/later')
    await page.locator('.page-header').getByText('completed').waitFor()
  })

  it('shows changes of another tab, and all content at 390 px', async () => {
    await open('/runs/trip-1')
    await page.locator('.page-header').getByText('waits').waitFor()
    const phone = await page.context().newPage()
    await phone.setViewportSize({ width: 390, height: 844 })
    await phone.goto(`${base}#/runs/trip-1?job=unknown`)
    await phone.getByRole('region', { name: 'Steps' }).getByRole('button', { name: /^fly/ }).click()
    await phone.getByRole('button', { name: 'Send the event' }).click()
    await phone.getByRole('button', { name: 'Send', exact: true }).click()
    await page.locator('.page-header').getByText('completed').waitFor()
    await page.getByRole('tab', { name: 'State' }).click()
    await page.getByRole('region', { name: 'State' }).getByText('"arrived"').waitFor()
    for (const [screen, title] of [
      ['/', 'Overview'],
      ['/queues', 'Queues'],
      ['/jobs', 'Jobs'],
      ['/runs', 'Runs'],
      ['/audit', 'Audit'],
    ] as const) {
      await phone.goto(`${base}#${screen}`)
      await heading(phone, title)
      expect(await phone.evaluate('document.documentElement.scrollWidth'), screen).toBe(390)
    }
    await phone.getByRole('button', { name: 'More' }).click()
    await phone.getByRole('dialog').getByRole('link', { name: 'Instances' }).click()
    await heading(phone, 'Instances')
    await phone.goto(`${base}#/schedules?schedule=report`)
    await phone.getByRole('region', { name: 'Next moments of report' }).getByRole('listitem').nth(4).waitFor()
    expect(await phone.evaluate('document.documentElement.scrollWidth'), 'an open schedule').toBe(390)
    await phone.close()
  })

  it('retries all failed jobs that match a filter, and reports the result', async () => {
    works = false
    const ids = ['out-1', 'out-2', 'out-3']
    const failing = await Promise.all(ids.map((id) => kernel.enqueue('mail', { to: id }, { id, tags: ['outage'] })))
    await Promise.allSettled(failing.map((job) => job.result()))
    works = true
    await open('/jobs?tag=outage&state=failed')
    await page.getByRole('checkbox', { name: 'Select mail out-1' }).check()
    const selection = page.getByRole('toolbar', { name: 'Selection' })
    await selection.getByRole('button', { name: 'Select all matching jobs' }).click()
    await selection.getByRole('button', { name: 'Retry' }).click()
    const question = page.getByRole('alertdialog')
    await question.getByText(/^3 jobs with/).waitFor()
    await question.getByRole('button', { name: 'Retry' }).click()
    await heading(page, 'Bulk actions')
    const report = page.getByRole('region', { name: /^retry / })
    await report.getByText('completed').waitFor()
    await report.getByText('3 done').waitFor()
    await open('/jobs?tag=outage&state=completed')
    for (const id of ids) await row(page, id).waitFor()
  })

  it('completes an open wait in the list of waits', async () => {
    await kernel.flow('trip').start({ to: 'Rome' }, { id: 'trip-2' })
    await open('/waits')
    await row(page, 'trip-2').getByRole('button', { name: 'Complete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Complete' }).click()
    await row(page, 'trip-2').waitFor({ state: 'detached' })
    await open('/runs/trip-2')
    await page.locator('.page-header').getByText('completed').waitFor()
  })

  it('pauses a schedule, runs it now, and saves and removes another schedule', async () => {
    await open('/schedules')
    await page.getByRole('button', { name: 'Pause report' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Pause' }).click()
    await row(page, 'report').getByText('paused').waitFor()
    expect(await kernel.scheduleDetails()).toMatchObject([{ name: 'report', paused: true }])
    await page.getByRole('button', { name: 'Run now report' }).click()
    await page.getByText('"report" starts report now.').waitFor()

    await page.keyboard.press('n')
    const form = page.getByRole('dialog', { name: 'New schedule' })
    await form.getByLabel('Name', { exact: true }).fill('yearly')
    await form.getByLabel('Its name').fill('mail')
    await form.getByLabel('Cron expression').fill('0 0 1 1 *')
    await form.getByRole('button', { name: 'Create' }).click()
    await page.waitForURL(/schedule=yearly/)
    await page.getByRole('region', { name: 'Next moments of yearly' }).getByRole('listitem').nth(4).waitFor()
    await page.getByRole('button', { name: 'Actions of yearly' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click()
    await row(page, 'yearly').waitFor({ state: 'detached' })
    await open('/jobs?name=report&state=completed')
    await row(page, 'report').getByText('completed').waitFor()

    await open('/schedules?schedule=report')
    await page.getByRole('region', { name: 'Last outcomes of report' }).getByText('completed').waitFor()
    await page.getByRole('button', { name: 'Actions of report' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click()
    await row(page, 'report').getByText('removed', { exact: true }).waitFor()
    await page.reload()
    await page.getByRole('button', { name: 'Bring back report' }).click()
    await page.getByRole('button', { name: 'Pause report' }).waitFor()
  })

  it('pauses a trigger, replays events that arrived meanwhile, and saves and removes another trigger', async () => {
    works = true
    await open('/schedules?trigger=wanted')
    await page.getByRole('button', { name: 'Pause wanted' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Pause' }).click()
    await row(page, 'wanted').getByText('paused').first().waitFor()
    await kernel.sendEvent('mail.wanted', { to: 'zoe' }, { id: 'order-7' })
    const deliveries = page.getByRole('region', { name: 'Deliveries of wanted' })
    await deliveries.getByText('Trigger "wanted" is paused.').waitFor()
    await page.getByRole('button', { name: 'Resume wanted' }).click()
    await deliveries.getByRole('button', { name: 'Send again order-7' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Fire' }).click()
    await deliveries.getByText('fired').waitFor()
    await deliveries.getByRole('link').first().waitFor()

    await page.keyboard.press('t')
    const form = page.getByRole('dialog', { name: 'New trigger' })
    await form.getByLabel('Name', { exact: true }).fill('extra')
    await form.getByLabel('Name of the event').fill('mail.extra')
    await form.getByLabel('Its name').fill('mail')
    await form.getByRole('button', { name: 'Create' }).click()
    await page.waitForURL(/trigger=extra/)
    await kernel.sendEvent('mail.extra', { to: 'max' })
    await page.getByRole('region', { name: 'Deliveries of extra' }).getByText('fired').waitFor()
    await page.getByRole('button', { name: 'Actions of extra' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click()
    await row(page, 'extra').first().waitFor({ state: 'detached' })
  })

  it('continues after a restart of the server without a reload', async () => {
    works = true
    await open('/jobs')
    await page.getByText('Live', { exact: true }).first().waitFor()
    await kernel.close()
    await page.getByText('Connecting', { exact: true }).first().waitFor()
    kernel = await start(store, port)
    await kernel.enqueue('mail', { to: 'eve' }, { id: 'after-the-restart' })
    await row(page, 'after-the-restart').getByText('completed').waitFor()
    await page.getByText('Live', { exact: true }).first().waitFor()
  })
})
