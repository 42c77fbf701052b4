import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'pathe'
import { llms, llmsFull } from '../../scripts/reference/llms.ts'
import { pages, resolveLink, ROOT } from './pages.ts'
import { slugOf } from './slug.ts'
import { sidebar } from './sidebar.ts'

interface Token {
  type: string
  content: string
  info: string
  tag: string
  attrs: [string, string][] | null
  children: Token[] | null
  attrGet(name: string): string | null
  attrSet(name: string, value: string): void
}
type Rule = (tokens: Token[], index: number, ...rest: unknown[]) => string
interface Markdown {
  renderer: { rules: Record<string, Rule> }
  core: {
    ruler: {
      push(name: string, rule: (state: { tokens: Token[]; env: { path: string; realPath?: string } }) => void): void
    }
  }
}

const { version, repository } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string
  repository?: { url: string }
}
const SOURCES = repository?.url.replace(/^git\+/, '').replace(/\.git$/, '')
const shown = pages()
const SKIPPED = new Set(['node_modules', 'dist', '.git'])
const byFile = new Map(shown.map((page) => [page.file, page]))

/** The HTML that pages use inside of a paragraph. Everything else in angle brackets is text, such as the name of a type. */
const HTML = /^<(?:!--|\/?(?:a|br|kbd|img|picture|source|sub|sup)\b)/

/** Links of the repository lead from file to file. Rewrites them to pages, and links to sources to the repository. */
function rewriteLinks(md: Markdown): void {
  md.core.ruler.push('repository-links', ({ tokens, env }) => {
    const file = relative(ROOT, env.realPath ?? env.path)
    for (const { children } of tokens) {
      for (const [index, token] of (children ?? []).entries()) {
        if (token.type === 'html_inline' && !HTML.test(token.content)) token.type = 'text'
        const link = token.type === 'link_open' ? token.attrGet('href') : null
        if (link === null) continue
        const page = resolveLink(file, link, byFile)
        if (page !== undefined) token.attrSet('href', page)
        else if (SOURCES !== undefined) token.attrSet('href', `${SOURCES}/blob/main/${join(file, '..', link)}`)
        else asText(children!.slice(index))
      }
    }
  })
}

/** Shows indented code as fenced code is shown: commands. */
function styleIndentedCode({ renderer: { rules } }: Markdown): void {
  rules.code_block = (tokens, index, ...rest) => {
    tokens[index]!.info = 'sh'
    return rules.fence!(tokens, index, ...rest)
  }
}

/** Turns the link at the beginning of some tokens into plain text. */
function asText(tokens: Token[]): void {
  tokens[0]!.tag = 'span'
  tokens[0]!.attrs = null
  tokens.find(({ type }) => type === 'link_close')!.tag = 'span'
}

export default {
  title: 'nuxt-queue',
  description: 'Job queues and event-sourced flows for Nuxt, Nitro and Node',
  lang: 'en',
  // The pages are Markdown files of the whole repository, so that a README is a page of the reference as well.
  srcDir: '..',
  srcExclude: globSync('**/*.md', { cwd: ROOT, exclude: (name) => SKIPPED.has(name) }).filter(
    (file) => !byFile.has(file),
  ),
  rewrites: (file: string) => {
    const page = byFile.get(file)
    return page ? `${page.path}.md` : file
  },
  cleanUrls: true,
  buildEnd({ outDir }: { outDir: string }) {
    writeFileSync(
      join(outDir, 'llms.txt'),
      llms(({ path }) => `/${path}`),
    )
    writeFileSync(join(outDir, 'llms-full.txt'), llmsFull())
  },
  ignoreDeadLinks: 'localhostLinks',
  head: [['link', { rel: 'icon', href: '/logo.svg', type: 'image/svg+xml' }]],
  vite: { publicDir: join(ROOT, 'docs/public'), build: { chunkSizeWarningLimit: 2000 }, esbuild: { tsconfigRaw: {} } },
  markdown: {
    theme: { light: 'github-light', dark: 'github-dark' },
    anchor: { slugify: slugOf },
    config: (md: Markdown) => {
      rewriteLinks(md)
      styleIndentedCode(md)
    },
  },
  themeConfig: {
    logo: '/logo.svg',
    outline: [2, 3],
    search: { provider: 'local', options: { detailedView: true } },
    nav: [
      { text: 'Start', link: '/start/nuxt', activeMatch: '^/start/' },
      { text: 'Guides', link: '/guides/flows', activeMatch: '^/(guides|concepts|recipes)/' },
      { text: 'Reference', link: '/reference/config', activeMatch: '^/reference/' },
      {
        text: `v${version}`,
        items: [
          { text: 'Contributing', link: '/contributing/' },
          { text: 'For language models', link: '/llms.txt', target: '_blank' },
        ],
      },
    ],
    sidebar: sidebar(shown),
    ...(SOURCES && { socialLinks: [{ icon: 'github', link: SOURCES }] }),
  },
}
