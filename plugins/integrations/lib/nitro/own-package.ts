import { QueueError } from '../../../../kernel/index.ts'
import { codeFile } from '../../../lib/package-files.ts'

/** The folder of this package's build. */
const PACKAGE = codeFile('.')

/** Keeps this package out of the bundle, because it finds its programs next to itself and shares its code with its child processes. */
export function isOwn(id: string): boolean {
  return /^nuxt-queue(?:\/|$)/.test(id) || id.startsWith(PACKAGE)
}

/** Refuses a linked package. Nitro copies installed packages and bundles all others, which does not work for this package. */
export function assertInstalled(): void {
  if (PACKAGE.includes('/node_modules/')) return
  const hint = 'To build for production, install it from the registry or from the archive that npm pack creates.'
  throw new QueueError('CONFIG_INVALID', `nuxt-queue is linked: its folder is ${PACKAGE}. ${hint}`)
}
