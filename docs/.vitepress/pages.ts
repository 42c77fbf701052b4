/** The pages of the site: which Markdown files of the repository are shown where. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dirname, join } from 'pathe'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

export interface Page {
  /** The file, from the root of the repository. */
  file: string
  /** Its path on the site, without a slash at its begin and without `.md`: `guides/flows`, `reference/index`. */
  path: string
  /** Its first heading. */
  title: string
}

/** Files outside of `docs` and `plugins`, and their paths. */
const OTHERS: Readonly<Record<string, string>> = {
  'kernel/README.md': 'reference/kernel',
  'testing/README.md': 'reference/testing/index',
  'testing/conformance/README.md': 'reference/testing/conformance',
  'python-sdk/README.md': 'reference/python-sdk',
  'CONTRIBUTING.md': 'contributing/index',
  'SECURITY.md': 'contributing/security',
  'CHANGELOG.md': 'contributing/changelog',
  'CODE_OF_CONDUCT.md': 'contributing/code-of-conduct',
  'contracts/README.md': 'contributing/contracts',
  'playground/README.md': 'contributing/playground',
  'tools/README.md': 'contributing/tools',
  'test/chaos/README.md': 'contributing/chaos',
  'test/services/README.md': 'contributing/test-services',
}

/** Returns every page, in the order of the file names. */
export function pages(): Page[] {
  const own = globSync('docs/**/*.md', { cwd: ROOT }).map((file): [string, string] => [
    file,
    file.replace(/^docs\//, '').replace(/\.md$/, ''),
  ])
  const readmes = globSync('plugins/**/README.md', { cwd: ROOT, exclude: (name) => name === 'node_modules' })
  const folders = readmes.map((file) => dirname(file))
  const plugins = readmes.map((file): [string, string] => {
    const folder = dirname(file)
    const holds = folders.some((other) => other.startsWith(`${folder}/`))
    return [file, `reference/${folder}${holds ? '/index' : ''}`]
  })
  const others = Object.entries(OTHERS).filter(([file]) => existsSync(join(ROOT, file)))
  return [...own, ...plugins, ...others]
    .map(([file, path]) => ({ file, path: path.replace(/\/README$/, '/index'), title: titleOf(file) }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Returns the first heading of a page, as plain text. */
function titleOf(file: string): string {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const heading = /^# (.+)$/m.exec(text)?.[1] ?? /^ {2}name: (.+)$/m.exec(text)?.[1]
  if (heading === undefined) throw new Error(`${file} has no heading. Begin it with "# ".`)
  return heading.replaceAll('`', '').replace(/^nuxt-queue\/plugins\//, '')
}

/**
 * Returns where a link of a page leads on the site: the path of a page, `undefined` for a file that is not a page, or the
 * link itself if it leads out of the repository or to nothing.
 */
export function resolveLink(file: string, link: string, known: ReadonlyMap<string, Page>): string | undefined {
  if (/^(?:\w+:|#|\/)/.test(link)) return link
  const [path = '', hash] = link.split('#')
  const target = join(dirname(file), decodeURIComponent(path)).replace(/\/$/, '')
  const page = [target, `${target}/README.md`, `${target}/index.md`].map((one) => known.get(one)).find(Boolean)
  if (page)
    return `/${page.path.replace(/(?:^|\/)index$/, (end) => (end === 'index' ? '' : '/'))}${hash ? `#${hash}` : ''}`
  return existsSync(join(ROOT, target)) ? undefined : link
}
