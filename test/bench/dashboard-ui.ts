import type { Page } from 'playwright-core'
import { createKernel, type Kernel } from 'nuxt-queue'
import { startChromium } from '../services/chromium.ts'
import { median, quantile, round, type Bench } from './harness.ts'

/** A run with many jobs. */
const RUN = 'large'
const JOBS = 1000
/** The events of each job, with which the run has 10,000. */
const EVENTS = 10
/** How long a list scrolls, in milliseconds. */
const SCROLL = 4000
const VIEWS = 7
const APPENDS = 40

/* Scripts of the page. They are texts, because this folder has no types of browsers. */

/** Resolves to a value as soon as a page has it. The policy of the page allows no other way to wait for it. */
const once = (value: string): string =>
  `new Promise((resolve) => {
    const look = () => {
      const found = ${value}
      if (found) resolve(found)
      else setTimeout(look, 5)
    }
    look()
  })`
/** The time since the beginning of the navigation, once the totals are there. */
const TOTALS = once(`document.querySelector('.totals .count')?.textContent && performance.now()`)
/** Keeps when the page has shown each event that is appended. */
const WATCH = `
  globalThis.shown = new Map()
  new MutationObserver(() => {
    for (const { textContent } of document.querySelectorAll('[data-index] .type')) {
      if (textContent.startsWith('bench.') && !shown.has(textContent)) shown.set(textContent, Date.now())
    }
  }).observe(document, { subtree: true, childList: true, characterData: true })
`
/** Scrolls up and down, and resolves to the frames in a second and the longest frame in milliseconds. */
const scrolling = (selector: string): string => `new Promise((resolve) => {
  const list = document.querySelector('${selector}')
  let [frames, longest, before, by] = [0, 0, performance.now(), 80]
  const began = before
  const frame = () => {
    const now = performance.now()
    if (frames > 0) longest = Math.max(longest, now - before)
    before = now
    frames++
    if (list.scrollTop + list.clientHeight >= list.scrollHeight - 1) by = -80
    if (list.scrollTop <= 0) by = 80
    list.scrollTop += by
    if (now - began < ${SCROLL}) requestAnimationFrame(frame)
    else resolve({ rate: (frames * 1000) / (now - began), longest })
  }
  requestAnimationFrame(frame)
})`

const step = (job: number, type: string, data: object = {}) => ({
  type,
  flow: 'large',
  step: 'item',
  stepId: `item-${job}`,
  attempt: 1,
  data,
})

async function fill(kernel: Kernel): Promise<void> {
  const events = kernel.port('events')
  const begin = { type: 'flow.started', flow: 'large', stepId: 'entry', data: { step: 'begin', input: { jobs: JOBS } } }
  await events.append(RUN, [begin], { run: { status: 'running', name: 'large', flow: 'large', queue: 'bench' } })
  for (let job = 0; job < JOBS; job++) {
    const logs = Array.from({ length: EVENTS - 3 }, (_, n) =>
      step(job, 'runner.log', { level: 'info', message: `line ${n}` }),
    )
    await events.append(RUN, [
      step(job, 'step.queued', { queue: 'bench' }),
      step(job, 'step.started', { queue: 'bench', name: 'item' }),
      ...logs,
      ...(job % 2 === 0
        ? [step(job, 'step.completed', { result: job })]
        : [step(job, 'state.set', { key: 'n', value: job })]),
    ])
  }
}

/** The time from the beginning of a navigation until an element is in the page, from an empty cache. */
async function firstView(open: () => Promise<Page>, url: string): Promise<number> {
  const page = await open()
  await page.goto(url, { waitUntil: 'commit' })
  const ms = await page.evaluate<number>(TOTALS)
  await page.context().close()
  return ms
}

async function scroll(page: Page, selector: string): Promise<{ rate: number; longest: number }> {
  await page.locator(selector).waitFor()
  return page.evaluate<{ rate: number; longest: number }>(scrolling(selector))
}

export default async function bench(bench: Bench): Promise<void> {
  const kernel = await createKernel({ preset: 'dev', config: { registry: { dirs: [] }, http: {} } })
  await kernel.start()
  const { url } = await kernel.http.listen()
  const base = `${url}/_queue/ui/`
  const browser = await startChromium()
  const open = (): Promise<Page> => browser.newPage({ viewport: { width: 1440, height: 900 } })
  const say = (name: string, unit: string, ours: number, base: number, against: string, runs: number): void =>
    bench.emit({
      ...{ case: name, unit, ours: round(ours), base, against, runs },
      ratio: round(unit === 'ms' ? base / ours : ours / base),
    })
  try {
    const views: number[] = []
    for (let view = 0; view < VIEWS; view++) views.push(await firstView(open, base))
    say('first view from an empty cache', 'ms', median(views), 1000, 'the goal', VIEWS)

    await fill(kernel)
    const page = await open()
    await page.addInitScript({ content: WATCH })
    const rows = '[aria-label="Events"] .scroller'
    await page.goto(`${base}#/runs/${RUN}?view=events`)
    await page.locator('[data-index="10000"]').waitFor()
    const delays: number[] = []
    for (let n = 0; n < APPENDS; n++) {
      const type = `bench.${n}`
      const at = Date.now()
      await kernel.port('events').append(RUN, [{ type }])
      delays.push((await page.evaluate<number>(once(`shown.get('${type}')`))) - at)
    }
    say('an event after its append, p50', 'ms', median(delays), 200, 'the goal', APPENDS)
    say('an event after its append, p95', 'ms', quantile(delays, 0.95), 200, 'the goal', APPENDS)

    const quiet = await scroll(page, rows)
    say('scrolling 10,000 events', 'frames/s', quiet.rate, 30, `the goal; longest frame ${round(quiet.longest)} ms`, 1)
    const timer = setInterval(
      () => void kernel.port('events').append(RUN, [step(1, 'runner.log', { message: 'live' })]),
      50,
    )
    const busy = await scroll(page, rows)
    say(
      'scrolling 10,000 live events',
      'frames/s',
      busy.rate,
      30,
      `the goal; longest frame ${round(busy.longest)} ms`,
      1,
    )
    await page.goto(`${base}#/runs/${RUN}`)
    await page.getByRole('button', { name: /^item/ }).click()
    const gantt = await scroll(page, '[aria-label="Steps"] .scroller')
    clearInterval(timer)
    say(
      'scrolling 1,000 live jobs',
      'frames/s',
      gantt.rate,
      30,
      `the goal; longest frame ${round(gantt.longest)} ms`,
      1,
    )
  } finally {
    await browser.close()
    await kernel.close()
  }
}
