/** The page of all error codes, made from their docstrings. */
import { readFileSync } from 'node:fs'
import { join } from 'pathe'
import type { ErrorCode } from '../../contracts/errors.ts'
import { STATUS } from '../../plugins/integrations/http/problems.ts'
import { page, prose, table, typescript } from './markdown.ts'
import { REMEDIES } from './remedies.ts'
import { ROOT } from './source.ts'

function meanings(): [code: ErrorCode, meaning: string][] {
  const source = readFileSync(join(ROOT, 'contracts/errors.ts'), 'utf8')
  return [...source.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*\| '([A-Z_]+)'/g)].map(([, doc, code]) => [
    code as ErrorCode,
    prose(doc!.replaceAll(/\n\s*\* ?/g, ' ')).replaceAll(/\s+/g, ' '),
  ])
}

export function errors(): string {
  const all = meanings()
  const missing = Object.keys(REMEDIES).find((code) => !all.some(([known]) => known === code))
  if (missing !== undefined) throw new Error(`contracts/errors.ts has no docstring for ${missing}.`)
  const sections = all
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([code, meaning]) => [
      `## ${code}`,
      meaning,
      `**What to do.** ${REMEDIES[code]}`,
      STATUS[code] === undefined ? undefined : `Over HTTP: status ${STATUS[code]}.`,
    ])
  return page('Errors', [
    'Every error of this package is a `QueueError` with a `code`. Distinguish errors by the code; messages may change. The member `docs` of an error names its section here.',
    typescript(
      "import { isQueueError } from 'nuxt-queue'\n\ntry {\n  await kernel.enqueue('mail', { to: 'ada@example.com' })\n} catch (error) {\n  if (!isQueueError(error, 'QUEUE_FULL')) throw error\n}",
    ),
    table(
      ['member', 'meaning'],
      [
        ['`code`', 'one of the codes below'],
        ['`message`', 'what happened, what was expected, what was received, and what to do'],
        ['`cause`', 'the error that caused this error, if there is one'],
        ['`plugin`, `hook`', 'where it occurred'],
        ['`details`', 'facts for programs'],
        [
          '`retryable`',
          'false: a job that fails with this error is not retried. Every thrown `Error` may have this member',
        ],
        ['`statusCode`', 'the HTTP status, which h3, Nitro and Nuxt understand'],
      ],
    ),
    ...sections,
  ])
}
