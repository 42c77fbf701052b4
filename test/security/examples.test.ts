import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createJiti } from 'jiti'
import { dirname, join } from 'pathe'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { Authorize, HttpAction } from '../../plugins/integrations/http/index.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-examples-'))
const ALIAS = { 'nuxt-queue': join(ROOT, 'index.ts'), h3: fileURLToPath(import.meta.resolve('h3')) }
afterAll(() => rmSync(folder, { recursive: true }))

/** Every configuration with an `authorize` that the documentation shows. */
const examples = globSync(['README.md', 'docs/**/*.md', 'plugins/**/README.md'], { cwd: ROOT }).flatMap((page) => {
  const blocks = readFileSync(join(ROOT, page), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)
  const codes = [...blocks].map(([, code]) => code!)
  // The files of the page, which the configuration may import.
  const files = codes.flatMap((code) =>
    [...code.matchAll(/^\/\/ ([\w./-]+\.ts)\n/g)].map(([, name]) => [name!, code] as const),
  )
  return codes.flatMap((code, index) =>
    /export default defineConfig/.test(code) && /\bauthorize\b|\btoken:/.test(code)
      ? [{ page, index, code, files }]
      : [],
  )
})

/** All actions except watching one run by its id, which cannot be guessed. */
const ACTIONS: HttpAction[] = [
  ...[{ type: 'runs.read' as const }, { type: 'jobs.enqueue' as const, worker: 'a' }, { type: 'events.send' as const }],
  ...[
    { type: 'jobs.read' as const, queue: 'a' },
    { type: 'runs.cancel' as const, runId: 'a' },
  ],
]
const HEADERS: Record<string, string>[] = [
  {},
  ...['', 'undefined', 'null', 'Bearer', 'Bearer undefined', 'Bearer null', 'Bearer '].map((authorization) => ({
    authorization,
  })),
  { cookie: 'session=undefined; nuxt-session=' },
]

describe('with every variable unset', () => {
  it('there are examples to check', () => {
    expect(examples.length).toBeGreaterThan(2)
  })

  it.each(examples)('example $index of $page admits no stranger', async ({ page, index, code, files }) => {
    const names = [...code.matchAll(/process\.env\.(\w+)/g)].map(([, name]) => name!)
    for (const name of names) if (name !== 'NODE_ENV') vi.stubEnv(name, undefined)
    const file = join(folder, `${page.replaceAll('/', '-')}-${index}`, 'example.ts')
    for (const [name, text] of [...files, ['example.ts', code] as const]) {
      const path = join(dirname(file), name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
    const jiti = createJiti(import.meta.url, { alias: ALIAS, fsCache: false })
    const { http = {} } = await jiti.import<{ http?: { authorize?: Authorize; token?: unknown } }>(file, {
      default: true,
    })
    expect(http.token).toBe(undefined)
    const authorize: Authorize = http.authorize ?? (() => false)
    for (const headers of HEADERS) {
      for (const action of ACTIONS) {
        const answer = await authorize(new Request('http://shop.example/', { headers }), action, undefined as never)
        expect({ headers, action, allowed: answer === true }).toEqual({ headers, action, allowed: false })
      }
    }
    vi.unstubAllEnvs()
  })
})
