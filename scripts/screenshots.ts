/** Takes the screenshots of the documentation, in both themes: `npm run screenshots`. */
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'
import type { Page } from 'playwright-core'
import { startChromium } from '../test/services/chromium.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'docs/images')
/** The largest picture, in bytes. */
const MAX_BYTES = 150_000
const WIDE = { width: 1280, height: 800 }
const PHONE = { width: 390, height: 844 }

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

const port = await freePort()
const env = { ...process.env, PORT: String(port) }
const server = spawn(process.execPath, [join(ROOT, 'playground/dashboard/main.ts')], {
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
})
await once(server.stdout, 'data')
const base = `http://127.0.0.1:${port}/_queue/`

interface Listed {
  jobs: { queue: string; id: string }[]
  runs: { runId: string; status: string }[]
}

async function first(path: string): Promise<Listed> {
  for (;;) {
    const found = (await (await fetch(`${base}api/${path}`)).json()) as Listed
    if ((found.jobs ?? found.runs).length > 0) return found
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

const [{ jobs }, { runs }] = await Promise.all([
  first('jobs?state=failed&queue=payments&limit=1'),
  first('runs?flow=order&status=running&limit=1'),
])
/** Each screen with what must be there before the picture is taken. */
const SCREENS: readonly { name: string; path: string; shows: string; phone?: true }[] = [
  { name: 'overview', path: '/', shows: 'canvas', phone: true },
  { name: 'queues', path: '/queues', shows: 'svg[role=img]' },
  {
    name: 'job',
    path: `/jobs/${jobs[0]!.queue}/${encodeURIComponent(jobs[0]!.id)}`,
    shows: '[aria-label=Attempts] li',
  },
  { name: 'run', path: `/runs/${runs[0]!.runId}`, shows: '[aria-label=Steps] li' },
  {
    name: 'schedules',
    path: '/schedules?trigger=payment',
    shows: '[aria-label="Deliveries of payment"] li',
    phone: true,
  },
]

async function shoot(page: Page, theme: 'light' | 'dark', phone: boolean): Promise<void> {
  for (const { name, path, shows } of SCREENS.filter((screen) => !phone || screen.phone)) {
    await page.goto(`${base}ui/#${path}`)
    await page.locator(shows).first().waitFor()
    // Fonts and charts are drawn in the next frames.
    await page.waitForTimeout(500)
    const file = join(FOLDER, `${name}${phone ? '-phone' : ''}-${theme}.jpg`)
    await page.screenshot({ path: file, type: 'jpeg', quality: 82 })
    if (statSync(file).size > MAX_BYTES) throw new Error(`${file} is larger than ${MAX_BYTES} bytes.`)
    process.stdout.write(`${file}\n`)
  }
}

mkdirSync(FOLDER, { recursive: true })
const browser = await startChromium()
try {
  for (const theme of ['light', 'dark'] as const) {
    for (const phone of [false, true]) {
      const page = await browser.newPage({ viewport: phone ? PHONE : WIDE, colorScheme: theme })
      await shoot(page, theme, phone)
      await page.close()
    }
  }
} finally {
  await browser.close()
  server.kill()
}
