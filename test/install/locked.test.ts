import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'pathe'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
/** Folders whose code may run during tests. None of it may depend on the current content of a registry. */
const FOLDERS = ['test', 'scripts', 'testing', 'playground', 'python-sdk', '.ci']
const LOCKS = ['alone', 'apps', 'nitro3', 'tests']
/** Packages of which a neighbour of this package needs other versions than this repository. */
const OTHER_VERSIONS: Readonly<Record<string, ReadonlySet<string>>> = {
  // For Express.
  apps: new Set(['iconv-lite']),
  nitro3: new Set(['db0', 'unenv', 'unstorage']),
  // For Nuxt's test utils.
  tests: new Set(['@clack/core', '@clack/prompts', '@nuxt/devtools-kit', '@nuxt/kit', 'sisteransi', 'unenv']),
}

interface Locked {
  version: string
  integrity?: string
  resolved?: string
  link?: boolean
  inBundle?: boolean
}
interface Manifest {
  scripts: Record<string, string>
  overrides: Record<string, string>
}
type Lock = { packages: Record<string, Locked & Record<string, unknown>> }

function json(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
}

const manifest = json('package.json') as Manifest
const root = (json('package-lock.json') as Lock).packages

/** Returns the packages of a lock file as `<name> <version> <integrity>`, by name. */
function contentsOf({ packages }: Lock): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const [path, { version, integrity, link }] of Object.entries(packages)) {
    const name = path.split('node_modules/').at(-1)!
    if (link || path === name) continue
    found.set(name, (found.get(name) ?? new Set()).add(`${name} ${version} ${integrity!}`))
  }
  return found
}

/** The allowed commands of each package manager. They follow a lock file, or they install nothing. */
const ALLOWED: Readonly<Record<string, RegExp>> = {
  npm: /^(?:ci|pack|run|test|start)$/,
  // Programs of the system, in the versions of its distribution.
  'apt-get': /^(?:update|install)$/,
}
const INSTALLER = 'npm|npx|pnpm|pnpx|yarn|bun|bunx|corepack|pip3?|pipx|uv|uvx|gem|cargo|brew|apt-get|apt'
const CALL = new RegExp(
  `['"\`](${INSTALLER})(?:\\.cmd)?['"\`]\\s*,\\s*\\[\\s*(?:\\.\\.\\.\\[)?\\s*['"\`]([\\w-]+)`,
  'g',
)
const SHELL = /\b(npm|pnpm|yarn|bun|pip3?|uv|uvx|pipx|corepack)\s+(i|install|add|update|upgrade|exec|dlx|create)\b/g

/** Returns the commands of a source that install without a lock file. */
function unlocked(source: string): string[] {
  const code = source.replaceAll(/\/\*[^]*?\*\/|^\s*(?:\/\/|#|--).*$/gm, '')
  const calls = [...code.matchAll(CALL), ...code.matchAll(SHELL)]
  return calls.filter(([, program, first]) => !ALLOWED[program!]?.test(first!)).map(([text]) => text)
}

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && (/\.(?:[cm]?[jt]s|py|sh|pl|vue)$/.test(entry.name) || folder === '.ci'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((path) => !/(?:^|\/)(?:node_modules|\.nuxt|\.output|output)\//.test(path))
}

describe('packages of tests', () => {
  it('are installed from a lock file everywhere', () => {
    const found = FOLDERS.flatMap(sources)
      .filter((path) => path !== 'test/install/locked.test.ts')
      .flatMap((path) => unlocked(readFileSync(join(ROOT, path), 'utf8')).map((text) => `${path}: ${text}`))
    expect(found).toEqual([])
  })

  it.each([
    `run('npm', ['install', '--prefer-offline'])`,
    `run('npm', ['i', 'nuxt'])`,
    `spawn('npx', ['nuxi'])`,
    `execFileSync("pip", ["install", "pytest"])`,
    `exec('cd app && npm i nuxt')`,
    `exec(\`\${folder}; pnpm add vite\`)`,
  ])('are noticed if %s installs them', (source) => {
    expect(unlocked(source)).toHaveLength(1)
  })

  it.each([`run('npm', ['ci'])`, `run('npm', ['pack', '--dry-run'])`, `// npm i nuxt`])(
    'may be locked, packed or written about, as in %s',
    (source) => {
      expect(unlocked(source)).toEqual([])
    },
  )

  it('are chosen under tools/, which neither tests nor their scripts use', () => {
    const importers = FOLDERS.flatMap(sources).filter((path) =>
      /from '(?:\.\.\/)+tools\//.test(readFileSync(join(ROOT, path), 'utf8')),
    )
    expect(importers).toEqual([])
    const needed = ['start', 'build', 'check', 'test', 'prepack', 'prepare-embedded'].map(
      (name) => manifest.scripts[name],
    )
    expect(needed.filter((command) => command!.includes('tools/'))).toEqual([])
  })

  it.each(LOCKS)('have in %s the versions of this repository', (name) => {
    const developed = contentsOf({ packages: root })
    const others = [...contentsOf(json(`test/install/${name}/package-lock.json`) as Lock)].flatMap(
      ([one, versions]) => {
        const known = developed.get(one)
        return known && !OTHER_VERSIONS[name]?.has(one) ? [...versions].filter((version) => !known.has(version)) : []
      },
    )
    expect(others, 'Run: npm run lock-installs').toEqual([])
  })

  it.each(LOCKS)('match in %s the current manifest of the package', (name) => {
    const { packages } = json(`test/install/${name}/package-lock.json`) as Lock
    const locked = packages['node_modules/nuxt-queue']!
    const asked = json('package.json') as Record<string, unknown>
    const fields = ['dependencies', 'optionalDependencies', 'peerDependencies', 'peerDependenciesMeta']
    const pick = (from: Record<string, unknown>): unknown[] => fields.map((field) => from[field])
    expect(pick(locked), 'Run: npm run lock-installs').toEqual(pick(asked))
    expect((json(`test/install/${name}/package.json`) as Manifest).overrides).toEqual(manifest.overrides)
    expect(locked).toMatchObject({ resolved: 'file:nuxt-queue.tgz' })
    expect(locked).not.toHaveProperty('integrity')
  })

  it.each(['package-lock.json', ...LOCKS.map((name) => `test/install/${name}/package-lock.json`)])(
    'are pinned by their content in %s, independent of the registry',
    (path) => {
      const entries = Object.entries((json(path) as Lock).packages).filter(([, { link }]) => !link)
      const installed = entries.filter(([place]) => place.includes('node_modules/') && !place.endsWith('/nuxt-queue'))
      expect(installed.filter(([, { integrity, inBundle }]) => !integrity && !inBundle)).toEqual([])
      expect(installed.filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
    },
  )
})
