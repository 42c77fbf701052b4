import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'pathe'
import { rolldown } from 'rolldown'
import { describe, expect, it } from 'vitest'
import { entryPoints, pluginFolders } from '../scripts/entry-points.ts'

const ROOT = resolve(import.meta.dirname, '..')
/** The lines of code that the kernel may have, without comments and blank lines. */
const KERNEL_LINES = 2090
/** The bytes that the kernel may have, bundled and minified. */
const KERNEL_BYTES = 43_300
/** The maximum length of a file, in lines. */
const FILE_LINES = 300

interface Source {
  path: string
  text: string
  imports: { path: string; typeOnly: boolean }[]
}

function sourcesIn(folder: string): Source[] {
  if (!existsSync(join(ROOT, folder))) return []
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => read(join(folder, name)))
}

function read(path: string): Source {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm)
  const dynamic = text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)
  return {
    path,
    text,
    imports: [
      ...[...statements].map(([, type, from, bare]) => ({
        path: target(path, from ?? bare!),
        typeOnly: type !== undefined,
      })),
      ...[...dynamic].map(([, from]) => ({ path: target(path, from!), typeOnly: false })),
    ],
  }
}

/** A path from the root for a relative import, else the name of the package. */
function target(importer: string, specifier: string): string {
  return specifier.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(importer), specifier)) : specifier
}

function codeLines(text: string): number {
  return text.split('\n').filter((line) => !/^\s*(?:\/\/|\/\*|\*|$)/.test(line)).length
}

/** Local imports that leave the folders allowed, as `importer -> imported`. */
function strays(sources: Source[], allowed: (imported: string, importer: string) => boolean): string[] {
  return sources.flatMap(({ path, imports }) =>
    imports
      .filter((one) => one.path.endsWith('.ts') && !allowed(one.path, path))
      .map((one) => `${path} -> ${one.path}`),
  )
}

/** What each family may import from: itself, and the families below it. Top to bottom. */
const ORDER = [['integrations'], ['observability'], ['flow'], ['jobs', 'context'], ['runtimes', 'adapters'], ['lib']]
const FAMILIES = ORDER.flat()

/** Words and phrases of earlier versions for which standard English exists. */
const OLD_WORDS =
  /\b(?:hungry|fruitful|crew|inTurn|oneAtATime|onePerOutcome|turnedAway|takeTurn|putOff|in vain|those that|answers what|Answers what|forgets whoever|tells whether|whoever|anybody|everybody|is no cursor|belongs? into|brings? back|what became of|what came of|however many|signs of life|put on record|none the worse|in no process|turn(?:s|ed)? down|looks after|LONGEST_[A-Z]+|MOST_[A-Z]+|[A-Z]+_LOOK)\b/

/** The names by which users import plugins. Removing one breaks their code. */
const PLUGINS =
  'alerts audit batch bulk bus cancel-on cli client control dashboard debounce doctor encryption errors events-file events-memory events-postgres events-redis expiry explain fairness file flow history http instances job-options limits logger mcp metrics nitro nuxt offload on-failure otel pglite postgres progress queue-file queue-memory queue-postgres queue-redis redis registry retention run-messages runtime-exec runtime-isolated runtime-node runtime-python schedule search state stats step streaming throttle triggers unique upcast validation wait webhooks'.split(
    ' ',
  )

const plugins = pluginFolders()

/**
 * Names that several files export with the same meaning: parts that Redis and PostgreSQL both have, suites for queues and for event stores,
 * and the types of the HTTP API that its client declares again, because it runs in browsers. The client, the command line and the kernel each
 * publish options to subscribe or a timeline. Any other name has one meaning.
 */
const SAME_NAMES =
  'AuditQuery LogLevel Problem REST StatsPoint StatsQuery SubscribeOptions Timeline USE_CTIDS USE_INDEXES after createAppender createConsumer createForgetter createJobFinder createSubscribers diagnoseServer encodeQueue hostileTests neighbourTests'.split(
    ' ',
  )

/** Programs, which may build kernels. */
const COMMANDS = /^plugins\/integrations\/cli\/(?:bin|.*client|dev)\.ts$/

/** The folder of the plugin that a file belongs to. Files in a `lib` belong to their family. */
function ownFolder(path: string): string | undefined {
  return [...plugins.values()].find((folder) => path.startsWith(`${folder}/`))
}

function hasReadme(folder: string): boolean {
  const readme = join(ROOT, folder, 'README.md')
  return existsSync(readme) && readFileSync(readme, 'utf8').startsWith('# ')
}

const shipped = ['contracts', 'kernel', 'plugins', 'presets', 'testing'].flatMap(sourcesIn)

describe('layout', () => {
  it('keeps the kernel small', () => {
    const lines = sourcesIn('kernel').reduce((sum, { text }) => sum + codeLines(text), 0)
    expect(lines).toBeLessThanOrEqual(KERNEL_LINES)
  })

  it('keeps the bundled kernel small', async () => {
    const bundle = await rolldown({ input: join(ROOT, 'kernel/index.ts'), external: /^[^./]/, platform: 'node' })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    expect(output.map(({ type }) => type)).toEqual(['chunk'])
    expect(output[0].code.length).toBeLessThanOrEqual(KERNEL_BYTES)
  })

  it('keeps contracts free of code', () => {
    const statements = sourcesIn('contracts').flatMap(({ path, text }) =>
      text
        .split('\n')
        .filter(
          (line) =>
            /^\S/.test(line) &&
            !/^(?:import type|export type|export interface|type |interface |declare module |[})/*|])/.test(line),
        )
        .map((line) => `${path}: ${line}`),
    )
    expect(statements).toEqual([])
  })

  it('lets the kernel import contracts and three small libraries', () => {
    const kernel = sourcesIn('kernel')
    expect(strays(kernel, (imported) => /^(?:kernel|contracts)\//.test(imported))).toEqual([])
    const packages = new Set(kernel.flatMap(({ imports }) => imports.map(({ path }) => path)))
    const foreign = [...packages].filter((name) => !name.endsWith('.ts') && !name.startsWith('node:'))
    expect(foreign.toSorted()).toEqual(['@standard-schema/spec', 'defu', 'hookable', 'unctx'])
  })

  it('keeps plugins apart from each other', () => {
    const found = strays(sourcesIn('plugins'), (imported, importer) => {
      const own = ownFolder(importer)
      return (
        imported === 'kernel/index.ts' ||
        (own !== undefined && imported.startsWith(`${own}/`)) ||
        /^plugins\/(?:\w+\/)?(?:\w+\/)?lib\//.test(imported) ||
        (COMMANDS.test(importer) && /^(?:index|presets\/index)\.ts$/.test(imported))
      )
    })
    expect(found).toEqual([])
  })

  it('lets families import downwards', () => {
    const rank = (path: string): number => ORDER.findIndex((families) => families.includes(path.split('/')[1]!))
    const found = strays(sourcesIn('plugins'), (imported, importer) => {
      if (!imported.startsWith('plugins/')) return true
      const [from, to] = [rank(importer), rank(imported)]
      return from < to || imported.split('/')[1] === importer.split('/')[1]
    })
    expect(found).toEqual([])
  })

  it('has a family and a README for each folder', () => {
    const folders = readdirSync(join(ROOT, 'plugins'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map(({ name }) => name).toSorted()).toEqual(FAMILIES.toSorted())
    expect(FAMILIES.filter((family) => !hasReadme(join('plugins', family)))).toEqual([])
  })

  it('imports presets from entry points and the test kit only', () => {
    const importers = shipped.filter(({ imports }) => imports.some(({ path }) => path.startsWith('presets/')))
    const others = importers
      .map(({ path }) => path)
      .filter((path) => !/^(?:presets|testing)\/|^plugins\/integrations\/cli\//.test(path))
    expect(others).toEqual([])
  })

  it('has no circle of imports, types included', () => {
    const graph = new Map(shipped.map(({ path, imports }) => [path, imports.map((one) => one.path)]))
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (path: string, trail: string[]): void => {
      if (trail.includes(path)) return void cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '))
      if (done.has(path)) return
      for (const imported of graph.get(path) ?? []) visit(imported, [...trail, path])
      done.add(path)
    }
    for (const path of graph.keys()) visit(path, [])
    expect(cycles).toEqual([])
  })

  it('gives every plugin a README that shows its use', () => {
    expect([...plugins.values(), 'kernel'].filter((folder) => !hasReadme(folder))).toEqual([])
  })

  it('declares the options of plugins in the plugins', () => {
    const declared = /(?:declareJobOption|[wW]orkerOption)\('(\w+)'/g
    const names = new Set(
      sourcesIn('plugins').flatMap(({ text }) => [...text.matchAll(declared)].map(([, name]) => name!)),
    )
    expect(names.size).toBeGreaterThan(25)
    const options = /^export interface (?:SingleJobOptions|JobOptions|WorkerConfig)\b[^{]*\{\n(.*?)^\}/gms
    const bodies = ['contracts/job.ts', 'contracts/worker-config.ts'].map((path) => read(path).text)
    const members = bodies.flatMap((text) =>
      [...text.matchAll(options)].flatMap(([, body]) => body!.match(/^  \w+/gm)!),
    )
    expect(members.length).toBeGreaterThan(15)
    // The types of handlers follow from these two.
    expect(members.map((name) => name.trim()).filter((name) => names.has(name))).toEqual(['input', 'output'])
  })

  it('keeps files below the maximum length', () => {
    const long = shipped.filter(({ text }) => text.split('\n').length > FILE_LINES).map(({ path }) => path)
    expect(long.filter((path) => !path.startsWith('testing/conformance/'))).toEqual([])
  })

  it('keeps what runs in browsers free of Node', () => {
    const browser = [...sourcesIn('plugins/integrations/client'), read('plugins/context/lib/fold-state.ts')]
    const imported = browser.flatMap(({ path, imports }) =>
      imports.filter(({ typeOnly }) => !typeOnly).map((one) => ({ path, imported: one.path })),
    )
    const others = imported.filter((one) => !browser.some(({ path }) => path === one.imported))
    expect(others).toEqual([{ path: 'plugins/integrations/client/vue.ts', imported: 'vue' }])
  })

  it('declares the types that plugins add to the kernel', () => {
    const entry = readFileSync(join(ROOT, 'index.ts'), 'utf8')
    const adding = [...plugins.values()].filter(
      (folder) =>
        !folder.startsWith('plugins/adapters/') &&
        sourcesIn(folder).some(({ text }) => text.includes("declare module 'nuxt-queue/kernel'")),
    )
    expect(adding.filter((folder) => !entry.includes(`'./${folder}/index.ts'`))).toEqual([])
  })

  it('declares each stream that a plugin keeps short, so that a diagnosis finds out if it grows', () => {
    const keeping = shipped.filter(
      ({ path, text }) => /^plugins\/(?!lib\/)/.test(path) && /\b(?:createBoundedStream|trimStream)\(/.test(text),
    )
    expect(keeping.length).toBeGreaterThan(5)
    expect(keeping.filter(({ text }) => !text.includes('declareStreams')).map(({ path }) => path)).toEqual([])
  })

  it('gives each exported name one meaning', () => {
    const exported = shipped
      .filter(({ path }) => !path.includes('/app/'))
      .flatMap(({ text }) => {
        const names = text.matchAll(/^export (?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm)
        return [...new Set([...names].map(([, name]) => name!))]
      })
    const repeated = new Set(exported.filter((name, index) => exported.indexOf(name) !== index))
    expect([...repeated].toSorted()).toEqual(SAME_NAMES)
  })

  it('uses standard terms', () => {
    const files = globSync(['*.md', '{contracts,kernel,plugins,presets,docs,scripts,tools}/**/*.{ts,md}'], {
      cwd: ROOT,
    })
    const found = files
      // The changelog quotes the subjects of commits.
      .filter((file) => !file.includes('node_modules') && file !== 'CHANGELOG.md')
      .flatMap((file) => {
        const lines = readFileSync(join(ROOT, file), 'utf8').split('\n')
        return lines.filter((line) => OLD_WORDS.test(line)).map((line) => `${file}: ${line.trim()}`)
      })
    expect(found).toEqual([])
  })

  it('says in the first line of a long test what it adds to the short test', () => {
    const files = globSync('test/**/*.long.ts', { cwd: ROOT })
    expect(files.length).toBeGreaterThan(10)
    const silent = files.filter((file) => !/^\/\/ .*`npm test`/.test(readFileSync(join(ROOT, file), 'utf8')))
    expect(silent).toEqual([])
  })

  it('links pages to files that exist', () => {
    const pages = globSync(['*.md', '{docs,kernel,plugins,testing,tools,python-sdk,playground}/**/*.md'], { cwd: ROOT })
    const broken = pages
      .filter((page) => !page.includes('node_modules'))
      .flatMap((page) => {
        const links = readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!\w+:|#)([^)#\s]+)[^)]*\)/g)
        return [...links].map(([, link]) => join(dirname(page), link!)).filter((path) => !existsSync(join(ROOT, path)))
      })
    expect(broken).toEqual([])
  })

  it('exports every plugin under the name that users know', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: unknown }
    expect(manifest.exports).toEqual(entryPoints())
    expect([...plugins.keys()]).toEqual(PLUGINS)
  })
})
