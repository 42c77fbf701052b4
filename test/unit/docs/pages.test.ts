import { readFileSync } from 'node:fs'
import { dirname, join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { pages, ROOT } from '../../../docs/.vitepress/pages.ts'
import { slugOf } from '../../../docs/.vitepress/slug.ts'
import { QueueError } from '../../../kernel/index.ts'
import { extendErrors } from '../../../plugins/integrations/http/problems.ts'
import { REMEDIES } from '../../../scripts/reference/remedies.ts'
import type { ErrorCode } from '../../../contracts/index.ts'

const texts = new Map(
  ['README.md', ...pages().map(({ file }) => file)].map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]),
)

/** The text of a page without its blocks of code. */
function proseOf(file: string): string {
  return texts.get(file)!.replaceAll(/^( *)(`{3,})[\s\S]*?^\1\2/gm, '')
}

function anchorsOf(file: string): Set<string> {
  const headings = [...proseOf(file).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) =>
    slugOf(heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')),
  )
  const repeated = headings.map((slug, index) => {
    const before = headings.slice(0, index).filter((one) => one === slug).length
    return before === 0 ? slug : `${slug}-${before}`
  })
  return new Set(repeated)
}

describe('the pages of the documentation', () => {
  it('link to headings that exist', () => {
    const links = [...texts.keys()].flatMap((file) =>
      [...proseOf(file).matchAll(/\]\((?!\w+:)([^)#\s]*)#([^)\s]+)\)/g)].map(([, path, anchor]) => ({
        file,
        target: path === '' ? file : join(dirname(file), path!),
        anchor: anchor!,
      })),
    )
    expect(links.length).toBeGreaterThan(50)
    const broken = links.filter(({ target, anchor }) => texts.has(target) && !anchorsOf(target).has(anchor))
    expect(broken).toEqual([])
  })

  it('have a section for every error, which the error names', () => {
    extendErrors()
    const anchors = anchorsOf('docs/reference/errors.md')
    const codes = Object.keys(REMEDIES) as ErrorCode[]
    const named = codes.map((code) => new QueueError(code, '').docs)
    expect(named).toEqual(codes.map((code) => `nuxt-queue/docs/reference/errors.md#${code.toLowerCase()}`))
    expect(codes.filter((code) => !anchors.has(code.toLowerCase()))).toEqual([])
  })

  it('have as many cells in each row of a table as in its header', () => {
    const tables = [...texts.keys()].flatMap((file) =>
      [...proseOf(file).matchAll(/(?:^ *\|.*\n)+/gm)].map(([table]) => ({ file, rows: table.trimEnd().split('\n') })),
    )
    expect(tables.length).toBeGreaterThan(100)
    const cellsOf = (row: string): number => row.trim().split(/(?<!\\)\|/).length
    const uneven = tables.flatMap(({ file, rows }) =>
      rows.filter((row) => cellsOf(row) !== cellsOf(rows[0]!)).map((row) => `${file}: ${row}`),
    )
    expect(uneven).toEqual([])
  })

  it('have a path and a title each', () => {
    const all = pages()
    expect(new Set(all.map(({ path }) => path)).size).toBe(all.length)
    expect(all.filter(({ title }) => title === '')).toEqual([])
  })
})
