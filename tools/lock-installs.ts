/**
 * Writes the manifests and lock files of the folders in which tests install the packed package. All versions are from this
 * repository's lock file, and the layout is the one that npm creates for a user. Run it when dependencies change.
 */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'pathe'

const ROOT = resolve(import.meta.dirname, '..')
const INSTALLS = join(ROOT, 'test/install')
const OWN = 'nuxt-queue'
const TARBALL = `${OWN}.tgz`

/** The packages that users install together with this package, with the version if this repository does not have it. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  alone: [],
  apps: [
    ...['nuxt', 'nitropack', 'bullmq', 'ioredis', 'pg', 'pg-boss', 'zod', 'typescript', '@types/node'],
    // What the playground needs.
    ...['csv-parse', 'vega-datasets', 'pathe', 'vue', 'ai', '@ai-sdk/vue'],
    // The servers of the guide for Node.
    ...['express@5.3.0', 'fastify@5.12.8'],
  ],
  tests: ['nuxt', '@nuxt/test-utils@4.3.2', 'vitest', 'zod'],
  // This repository is developed with nitropack, and Nitro 3 has no stable release yet.
  nitro3: ['nitro@3.0.260903-beta', 'rollup', 'bullmq', 'ioredis', 'zod', 'typescript', '@types/node'],
}

interface Lock {
  packages: Record<string, { version: string; link?: boolean; integrity?: string; extraneous?: boolean }>
}

function json(name: string): unknown {
  return JSON.parse(readFileSync(name, 'utf8'))
}

function npm(cwd: string, ...args: string[]): void {
  execFileSync('npm', [...args, '--loglevel=error'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Returns all versions in this repository's lock file, by package. */
function lockedVersions(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const [path, { version, link }] of Object.entries((json(join(ROOT, 'package-lock.json')) as Lock).packages)) {
    if (link || !path.includes('node_modules/')) continue
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    found.set(name, (found.get(name) ?? new Set()).add(version))
  }
  return found
}

/**
 * Returns overrides that make npm choose only locked versions. If there are several, it chooses the one in the required range.
 * With `inRange`, a locked version outside the required range is not chosen.
 */
function pins(locked: Map<string, Set<string>>, direct: readonly string[], inRange: boolean): Record<string, string> {
  const entries = [...locked].flatMap(([name, versions]) => {
    const [only, ...more] = versions
    if (more.length > 0 || inRange) return [...versions].map((version) => [`${name}@${version}`, version])
    return direct.includes(name) ? [] : [[name, only]]
  })
  return Object.fromEntries(entries) as Record<string, string>
}

function lockInstall(name: string, beside: readonly string[], tarball: string): void {
  const locked = lockedVersions()
  const { packages } = json(join(ROOT, 'package-lock.json')) as Lock
  const { overrides } = json(join(ROOT, 'package.json')) as { overrides: Record<string, string> }
  const versions = beside.map((one) => {
    const [name, version] = one.split(/(?<!^)@/) as [string, string?]
    return [name, version ?? packages[`node_modules/${name}`]!.version]
  })
  const given = beside.some((one) => one.lastIndexOf('@') > 0)
  const manifest = {
    name: `${OWN}-${name}`,
    private: true,
    type: 'module',
    dependencies: { ...(Object.fromEntries(versions) as Record<string, string>), [OWN]: `file:${TARBALL}` },
  }
  const folder = mkdtempSync(join(tmpdir(), `${OWN}-lock-`))
  try {
    copyFileSync(tarball, join(folder, TARBALL))
    const resolving = { ...manifest, overrides: pins(locked, Object.keys(manifest.dependencies), given) }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(resolving))
    npm(folder, 'install', '--package-lock-only')
    const lock = json(join(folder, 'package-lock.json')) as Lock
    // Each run of the tests packs a new tarball, so its hash differs.
    delete lock.packages[`node_modules/${OWN}`]!.integrity
    // Packages that npm resolved for an optional peer and does not install.
    const unused = Object.keys(lock.packages).filter((path) => lock.packages[path]!.extraneous)
    for (const path of unused) delete lock.packages[path]
    const target = join(INSTALLS, name)
    mkdirSync(target, { recursive: true })
    writeFileSync(join(target, 'package.json'), `${JSON.stringify({ ...manifest, overrides }, undefined, 2)}\n`)
    writeFileSync(join(target, 'package-lock.json'), `${JSON.stringify(lock, undefined, 2)}\n`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const packed = mkdtempSync(join(tmpdir(), `${OWN}-pack-`))
npm(ROOT, 'pack', '--ignore-scripts', '--pack-destination', packed)
const tarball = join(packed, TARBALL)
renameSync(join(packed, readdirSync(packed)[0]!), tarball)
for (const [name, beside] of Object.entries(BESIDE)) lockInstall(name, beside, tarball)
rmSync(packed, { recursive: true })
