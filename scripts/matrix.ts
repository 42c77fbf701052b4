import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ACTIONS, type HttpAction } from '../plugins/integrations/http/access.ts'
import { createGuard } from '../plugins/integrations/http/guard.ts'
import { options } from '../plugins/integrations/http/options.ts'
import { routes } from '../plugins/integrations/http/routes/index.ts'
import { recordPeer } from '../plugins/integrations/lib/peer.ts'
import type { Kernel } from '../kernel/index.ts'

/*
 * Writes the table of permissions into docs/guides/securing.md: `node scripts/matrix.ts`. Each entry is a decision of the guard itself.
 */

const [WRITE, READ, SCRAPER] = [
  'a-writer-of-enough-letters',
  'a-reader-of-enough-letters',
  'a-scraper-of-enough-letters',
]
const TOKENS = [WRITE, { token: READ, role: 'read' }, { token: SCRAPER, role: 'metrics' }]

/** The callers: the configuration of the server, the address of the client, and its token. */
const CALLERS: Record<string, { http: object; address: string; token?: string }> = {
  'development, this machine': { http: { production: false }, address: '127.0.0.1' },
  'development, others': { http: { production: false }, address: '203.0.113.7' },
  production: { http: { production: true }, address: '127.0.0.1' },
  'token set, none sent': { http: { production: true, token: TOKENS }, address: '203.0.113.7' },
  '`read` token': { http: { production: true, token: TOKENS }, address: '203.0.113.7', token: READ },
  '`metrics` token': { http: { production: true, token: TOKENS }, address: '203.0.113.7', token: SCRAPER },
  '`write` token': { http: { production: true, token: TOKENS }, address: '203.0.113.7', token: WRITE },
}

/** Actions of plugins that no preset contains, and the request of each. */
export const MOUNTED: Readonly<Partial<Record<HttpAction['type'], string>>> = {
  'metrics.read': 'GET /_queue/metrics',
  'mcp.read': 'POST /_queue/mcp',
}

const BEGIN = '<!-- Made by scripts/matrix.ts from the routes. -->'
const END = '<!-- The end of what is made. -->'

async function decide(type: HttpAction['type'], { http, address, token }: (typeof CALLERS)[string]): Promise<string> {
  const unlimited = { enter: () => () => {} }
  const guard = createGuard({} as Kernel, options.parse(http), unlimited)
  if (!guard.open) return '404'
  const headers = { host: 'localhost', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  const request = new Request('http://localhost/', { headers })
  recordPeer(request, { address })
  try {
    guard.assertSameSite(request)
    await guard.assertAllowed(request, { type })
    return 'yes'
  } catch (refusal) {
    return refusal instanceof Response ? String(refusal.status) : '403'
  }
}

/** @returns the table, including the lines that mark its beginning and end */
export async function matrix(): Promise<string> {
  const rows = ACTIONS.map(async (type) => {
    const paths = routes.filter(({ action }) => action === type).map(({ method, path }) => `\`${method} ${path}\``)
    const mounted = MOUNTED[type]
    if (mounted !== undefined) paths.push(`\`${mounted}\``)
    const decisions = await Promise.all(Object.values(CALLERS).map((caller) => decide(type, caller)))
    return `| \`${type}\` | ${[paths.join(', '), ...decisions].join(' | ')} |`
  })
  const columns = ['action', 'below `/_queue/api/`', ...Object.keys(CALLERS)]
  const head = [`| ${columns.join(' | ')} |`, `|${columns.map(() => '---|').join('')}`]
  return [BEGIN, '', ...head, ...(await Promise.all(rows)), '', END].join('\n')
}

/** @returns the page with its table replaced */
export function withMatrix(page: string, table: string): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  return page.slice(0, from) + table + page.slice(to + END.length)
}

export const PAGE = fileURLToPath(new URL('../docs/guides/securing.md', import.meta.url))

if (import.meta.main) writeFileSync(PAGE, withMatrix(readFileSync(PAGE, 'utf8'), await matrix()))
