import { createRequire } from 'node:module'

/** Of this package; `unknown` where it was bundled into another. */
export function packageVersion(): string {
  try {
    return (createRequire(import.meta.url)('nuxt-queue/package.json') as { version: string }).version
  } catch {
    return 'unknown'
  }
}
