import type { Browser, Locator, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import type { StoredEvent } from '../../../index.ts'
import type { Server } from './app.ts'

export interface RunPage {
  page: Page
  /** Starts a run over the given number of rows and returns its id. */
  start(rows: number): Promise<string>
  /** Waits until the page shows this status of the run. @throws Error with the text of the page if the run has failed */
  status(text: string): Promise<void>
  connection(text: string): Promise<void>
  /** Waits until the event of this `seq` is listed. */
  shows(seq: number): Promise<void>
  /** The events in the list, as `<seq> <type> <step>`. */
  events(): Promise<string[]>
  button(name: string): Locator
  /** A step by its name in the flow. */
  step(name: string): Locator
  /** The errors and warnings of the page. */
  problems: readonly string[]
}

/** Opens a separate window at a path of the server. */
export async function openPage(browser: Browser, server: Server, path = '/'): Promise<RunPage> {
  // Animations are drawn sixty times a second, by the processor if there is no graphics card.
  const context = await browser.newContext({ reducedMotion: 'reduce' })
  context.setDefaultTimeout(240_000)
  onTestFinished(() => context.close())
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on(
    'console',
    (message) => message.type() === 'error' && problems.push(`${message.text()} ${message.location().url}`),
  )
  await page.goto(new URL(path, server.url).href)
  const button = (name: string): Locator => page.getByRole('button', { name, exact: true })
  return {
    page,
    async start(rows) {
      await page.getByLabel('Rows').selectOption(String(rows))
      await page.getByRole('button', { name: /^Start/ }).click()
      await page.waitForURL(/\?run=/)
      return new URL(page.url()).searchParams.get('run')!
    },
    async status(text) {
      const shown = page.getByRole('status').getByText(new RegExp(`^(?:${text}|Failed)$`))
      await shown.waitFor()
      if ((await shown.innerText()) !== text) throw new Error(await page.getByRole('main').innerText())
    },
    connection: (text) => page.locator('[data-part=connection]').getByText(text).waitFor(),
    shows: (seq) => page.locator(`[data-seq="${seq}"]`).waitFor({ state: 'attached' }),
    async events() {
      const items = page.getByRole('list', { name: 'Events' }).getByRole('listitem')
      return items.evaluateAll((all) =>
        all.map((item) => {
          const { seq, type } = item.dataset
          const [step] = [...item.querySelectorAll('[data-part=step]')].map((part) => part.innerText)
          return `${seq} ${type} ${step}`.trim()
        }),
      )
    },
    button,
    step: (name) => page.locator(`[data-step=${name}]`),
    problems,
  }
}

/** The run as the server returns it. */
export function apiOf(server: Server, runId: string) {
  const get = async <T>(path: string): Promise<T> =>
    (await (await server.get(`/_queue/api/runs/${runId}/${path}`)).json()) as T
  return {
    /** In the format of the page. */
    async events(): Promise<string[]> {
      const { events } = await get<{ events: StoredEvent[] }>('events')
      return events.map(({ seq, type, step = '' }) => `${seq} ${type} ${step}`.trim())
    },
    state: <T>(at: number) => get<T>(`state?at=${at}`),
    /** Waits for the end of the run. */
    result: () => get<{ status: string }>('result?wait=30000'),
    async approvalPath(): Promise<string> {
      const { events } = await get<{ events: { data: { data: { path: string } } }[] }>('events?types=client.message')
      return events.at(-1)!.data.data.path
    },
  }
}
