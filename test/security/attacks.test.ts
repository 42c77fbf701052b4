import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEVTOOLS_PAGE } from '../../plugins/integrations/nuxt/devtools-page.ts'
import { ATTACKS } from './attacks.ts'
import { openNitro, openNode, type Target, type Weakness } from './targets.ts'

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

describe('against a server that is weak', () => {
  it.each(ATTACKS)('$name: succeeds', async ({ attempt, weakness }) => {
    for (const open of [() => openNode(false, weakness), () => openNitro('Nuxt', true, weakness)]) {
      const target = await open()
      expect(await attempt(target)).toBe(true)
      await target.close()
    }
  })
})

describe('the page of the development tools', () => {
  /** What makes markup of text. */
  const SINKS =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(|new Function|setHTML|srcdoc|javascript:/

  it('shows what it is told as text', () => {
    expect(DEVTOOLS_PAGE).not.toMatch(SINKS)
    expect(DEVTOOLS_PAGE.replaceAll('textContent', 'innerHTML')).toMatch(SINKS)
  })
})
