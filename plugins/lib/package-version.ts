import { createRequire } from 'node:module'

/** Returns the version of this package, or `unknown` if it is bundled into another package. */
export function packageVersion(): string {
  try {
    return (createRequire(import.meta.url)('nuxt-queue/package.json') as { version: string }).version
  } catch {
    return 'unknown'
  }
}
