import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dirname, join } from 'pathe'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { outputOf } from '../../playground/lib/paths.ts'
import { strikeChart } from '../../playground/lib/chart.ts'
import { ATTACKS } from './attacks/index.ts'
import { MARKUP, openNitro, openNode, type Target, type Weakness } from './targets.ts'

const SERVERS: [string, boolean, (weakness?: Weakness) => Promise<Target>][] = [true, false].flatMap((production) => [
  ['Node', production, (weakness?: Weakness) => openNode(production, weakness)],
  ['Nitro', production, (weakness?: Weakness) => openNitro('Nitro', production, weakness)],
  ['Nuxt', production, (weakness?: Weakness) => openNitro('Nuxt', production, weakness)],
])

describe.each(SERVERS)('%s, production: %s', (_name, _production, open) => {
  let target: Target
  beforeAll(async () => void (target = await open()))
  afterAll(() => target.close())

  it.each(ATTACKS)('$name: fails', async ({ attempt }) => {
    expect(await attempt(target)).toBe(false)
  })
})

describe('against a vulnerable server', () => {
  it.each(ATTACKS)('$name: succeeds', async ({ attempt, weakness }) => {
    for (const open of [() => openNode(false, weakness), () => openNitro('Nuxt', true, weakness)]) {
      const target = await open()
      expect(await attempt(target)).toBe(true)
      await target.close()
    }
  })
})

describe('pages of browsers', () => {
  /** Code that turns text into markup. */
  const SINKS =
    /v-html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(|new Function|setHTML|srcdoc|javascript:/
  const apps = ['../../playground/nuxt/app', '../../plugins/integrations/dashboard/app']
  const pages = apps.flatMap((path) => {
    const app = fileURLToPath(new URL(path, import.meta.url))
    const files = readdirSync(app, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(?:vue|ts)$/.test(name))
    return files.map((name): [string, string] => [name, readFileSync(join(app, name), 'utf8')])
  })

  it.each(pages)('show received data as text: %s', (_name, page) => {
    expect(page).not.toMatch(SINKS)
    expect(`${page}<p v-html="told" />`).toMatch(SINKS)
  })

  it('show only files of one run, for any id', () => {
    const folder = outputOf('run')
    for (const name of ['..', '../..', '../run', '/etc', 'a/../../b', '.']) {
      expect(dirname(outputOf(name))).toBe(dirname(folder))
    }
  })

  it('show a chart whose labels are text', () => {
    const year = { strikes: 1, damaging: 0, cost: 0, lastDay: MARKUP }
    const chart = strikeChart([[MARKUP, year as never]], MARKUP)
    expect(chart).not.toContain('<img')
    expect(chart).toContain('&lt;img src=x')
  })
})
