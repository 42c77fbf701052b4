import type { Page } from './pages.ts'

interface Item {
  text: string
  link?: string
  items?: Item[]
  collapsed?: boolean
}

/** The sections of the site in their order, and the pages that come first in each. The others follow by their title. */
const SECTIONS: readonly [folder: string, title: string, first: readonly string[]][] = [
  ['start', 'Start', ['nuxt', 'nitro', 'node', 'python']],
  ['concepts', 'Concepts', ['job', 'run', 'event', 'state', 'attempts-and-claims', 'adapter', 'preset', 'plugin']],
  [
    'guides',
    'Guides',
    [
      ...['retries', 'limits', 'debounce-throttle-batch', 'schedules', 'flows', 'durable-steps', 'waiting', 'webhooks'],
      'talking-to-a-run',
      'transactions',
      ...[
        'streaming-to-a-page',
        'ai',
        'testing',
        'dashboard',
        'observability',
        'searching',
        'deploying',
        'securing',
        'encryption',
        'large-payloads',
        'migrating-stores',
        'scaling',
      ],
    ],
  ],
  ['recipes', 'Recipes', []],
  [
    'reference',
    'Reference',
    [
      'config',
      'presets',
      'job-options',
      'worker-options',
      'context',
      'methods',
      'hooks',
      'ports',
      'events',
      'errors',
      'http',
      'cli',
      'python',
      'python-sdk',
      'kernel',
      'protocol',
    ],
  ],
  ['migrating', 'Migrating', ['index']],
  ['contributing', 'Contributing', ['index', 'architecture', 'decisions/index']],
]

/** Returns the side bar for the pages of each section, made from the folders. */
export function sidebar(pages: readonly Page[]): Item[] {
  const top = pages.filter(({ path }) => !path.includes('/') && path !== 'index')
  const first = top.map(({ path, title }) => ({ text: title, link: `/${path}` }))
  const sections = SECTIONS.map(([folder, text, order]) => ({
    text,
    collapsed: folder !== 'start' && folder !== 'guides' && folder !== 'concepts',
    items: itemsIn(pages, folder, order),
  }))
  return [
    ...(first.length > 0 ? [{ text: 'Overview', items: first }] : []),
    ...sections.filter(({ items }) => items.length > 0),
  ]
}

function itemsIn(pages: readonly Page[], folder: string, order: readonly string[] = []): Item[] {
  const inside = pages.filter(({ path }) => path.startsWith(`${folder}/`))
  const here = inside.filter(({ path }) => !path.slice(folder.length + 1).includes('/'))
  const folders = [
    ...new Set(
      inside
        .map(({ path }) => path.slice(folder.length + 1).split('/'))
        .flatMap((parts) => (parts.length > 1 ? [parts[0]!] : [])),
    ),
  ]
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length)
  const leaves = here
    .map(({ path, title }) => ({ name: path.slice(folder.length + 1), text: title, link: linkOf(path) }))
    .filter(({ name }) => name !== 'index' || order.includes('index'))
    .toSorted((a, b) => rank(a.name) - rank(b.name) || a.text.localeCompare(b.text))
  const groups = folders.map((name) => {
    const page = pages.find(({ path }) => path === `${folder}/${name}/index`)
    return {
      text: page?.title ?? name,
      collapsed: true,
      ...(page && { link: linkOf(page.path) }),
      items: itemsIn(pages, `${folder}/${name}`),
    }
  })
  return [...leaves.map(({ text, link }) => ({ text, link })), ...groups]
}

function linkOf(path: string): string {
  return `/${path.replace(/(?:^|\/)index$/, '/')}`
}
