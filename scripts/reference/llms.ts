/** `llms.txt`: the list of all pages for language models (https://llmstxt.org), and all of them in one file. */
import { readFileSync } from 'node:fs'
import { join } from 'pathe'
import { pages, ROOT, type Page } from '../../docs/.vitepress/pages.ts'

const SECTIONS = ['start', 'concepts', 'guides', 'recipes', 'reference', 'migrating', 'contributing']

/** Returns the first sentence of a page. */
function summaryOf({ file }: Page): string {
  const text = readFileSync(join(ROOT, file), 'utf8').replace(/^---[\s\S]*?\n---\n/, '')
  const paragraph = text.split(/\n\n+/).find((part) => /^[A-Z`*[(]/.test(part.trim())) ?? ''
  const sentence = /^[\s\S]*?[.:](?=\s|$)/.exec(paragraph)?.[0] ?? paragraph
  return sentence
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/\s+/g, ' ')
    .replace(/:$/, '.')
}

/** @param linkOf returns the address of a page */
export function llms(linkOf: (page: Page) => string): string {
  const { description } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { description: string }
  const all = pages().filter(({ path }) => path !== 'index')
  const list = (some: readonly Page[]): string =>
    some.map((page) => `- [${page.title}](${linkOf(page)}): ${summaryOf(page)}`).join('\n')
  const sections = SECTIONS.flatMap((section) => {
    const inside = all.filter(({ path }) => path.startsWith(`${section}/`))
    return inside.length > 0 ? [`## ${section[0]!.toUpperCase()}${section.slice(1)}`, list(inside)] : []
  })
  const top = all.filter(({ path }) => !path.includes('/'))
  return `${['# nuxt-queue', `> ${description}`, ...(top.length > 0 ? [list(top)] : []), ...sections].join('\n\n')}\n`
}

/** Returns all pages for users in one text. */
export function llmsFull(): string {
  const all = pages().filter(({ path }) => path !== 'index' && !path.startsWith('contributing/'))
  return all
    .map(({ file, path }) => `<!-- ${path} -->\n\n${readFileSync(join(ROOT, file), 'utf8').trim()}\n`)
    .join('\n\n')
}
