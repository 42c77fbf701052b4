import type { ErrorCode } from '../../../kernel/index.ts'

/** The page that explains every code, in the package. */
const PAGE = 'nuxt-queue/docs/reference/errors.md'

/** Returns the section of the documentation about a code. */
export function pageOf(code: ErrorCode): string {
  return `${PAGE}#${code.toLowerCase()}`
}
