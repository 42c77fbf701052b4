import { chromium, type Browser } from 'playwright-core'
import { requireBinary } from './binaries.ts'

const ARGS = [
  ...['--no-sandbox', '--disable-gpu', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]

/** A headless browser: the one that `CHROMIUM_PATH` names, or else that of the system. */
export function startChromium(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_PATH ?? requireBinary('chromium')
  return chromium.launch({ executablePath, args: ARGS })
}
