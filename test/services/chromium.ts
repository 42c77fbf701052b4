import { chromium, type Browser } from 'playwright-core'
import { requireBinary } from './binaries.ts'

const ARGS = [
  ...['--no-sandbox', '--disable-gpu', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]

/** A browser without a window: the one that `CHROMIUM_PATH` names, else the system's. */
export function startChromium(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM_PATH ?? requireBinary('chromium')
  return chromium.launch({ executablePath, args: ARGS })
}
