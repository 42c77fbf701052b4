import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { dirname, join } from 'pathe'
import { rolldown } from 'rolldown'
import { beforeAll, describe, expect, it } from 'vitest'
import { workspace } from '../e2e/nuxt/workspace.ts'

/** The size of all files, with dependencies and without peers. */
const LIMIT = 15_000_000
const PACKAGES = 60
/** The bytes that are downloaded for this package without its dependencies. */
const TARBALL = 1_240_000
/** Bytes that a page downloads, minified and compressed, without Vue. */
const BROWSER = { client: 5500, vue: 7000 }
const BUILT = { client: 'index.js', vue: 'vue.js' }
/** The bytes that Node reads before the first job runs. Unlike the time, this is the same on every machine. */
const START = { files: 120, bytes: 1_700_000 }

/** Counts the modules that Node loads. */
const COUNT = `
import { registerHooks } from 'node:module'
const read = { files: 0, bytes: 0 }
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.startsWith('node:')) {
      read.files++
      read.bytes += loaded.source?.length ?? 0
    }
    return loaded
  },
})
const { createKernel } = await import('nuxt-queue')
const kernel = await createKernel({ preset: 'dev' })
await kernel.start()
await kernel.close()
console.log(JSON.stringify(read))
`

/** Returns what npm would warn about, and what would differ between systems. */
const LIMITS = ['deprecated', 'hasInstallScript', 'os', 'cpu', 'libc']

interface Lock {
  packages: Record<string, object>
}

let folder: string
beforeAll(async () => {
  folder = await workspace('alone')
})

/** Returns all files of the install. Files that Python has compiled during other tests do not count. */
async function files(): Promise<string[]> {
  const all = await readdir(join(folder, 'node_modules'), { recursive: true, withFileTypes: true })
  const own = all.filter((file) => file.isFile() && !file.name.endsWith('.pyc'))
  return own.map(({ parentPath, name }) => join(parentPath, name))
}

describe('the package in an empty folder', () => {
  it('contains no Node, and puts none on the PATH of scripts', async () => {
    const packages = (await readdir(join(folder, 'node_modules'))).filter((name) => name.startsWith('node'))
    const programs = (await files()).filter((path) => /\/node(?:\.exe)?$/.test(path))
    expect({ packages, programs }).toEqual({ packages: [], programs: [] })
    expect(await readdir(join(folder, 'node_modules/.bin'))).not.toContain('node')
    expect(existsSync(join(folder, 'node_modules/nuxt-queue/tools'))).toBe(false)
  })

  it('has every page that one of its pages links to, apart from the pages for contributors', async () => {
    const root = join(folder, 'node_modules/nuxt-queue')
    const names = await readdir(root, { recursive: true })
    const pages = names.filter((name) => name.endsWith('.md'))
    const missing: string[] = []
    for (const page of pages) {
      const prose = (await readFile(join(root, page), 'utf8')).replaceAll(/```[^]*?```/g, '')
      for (const [, link] of prose.matchAll(/\]\(([^)#:\s]+\.(?:md|svg))(?:#[^)]*)?\)/g)) {
        const target = join(dirname(page), link!)
        if (!/^(?:CONTRIBUTING|docs\/contributing|playground)/.test(target) && !names.includes(target))
          missing.push(`${page} links to ${target}`)
      }
    }
    expect(pages.length).toBeGreaterThan(100)
    expect(missing).toEqual([])
  })

  it('has no optional dependency, so every platform installs the same packages', async () => {
    const manifest = JSON.parse(await readFile(join(folder, 'node_modules/nuxt-queue/package.json'), 'utf8')) as object
    expect(manifest).not.toHaveProperty('optionalDependencies')
  })

  it('takes less than 15 MB and 60 packages, none of which runs a script or is limited to some systems', async () => {
    const sizes = await Promise.all((await files()).map(async (path) => (await stat(path)).size))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(LIMIT)
    const lock = JSON.parse(await readFile(join(folder, 'node_modules/.package-lock.json'), 'utf8')) as Lock
    expect(Object.keys(lock.packages).length).toBeLessThan(PACKAGES)
    const limited = Object.entries(lock.packages).filter(([, locked]) => LIMITS.some((field) => field in locked))
    expect(limited).toEqual([])
  })

  it('is small for downloads, pages and the start of a process', async () => {
    expect((await stat(join(folder, 'nuxt-queue.tgz'))).size).toBeLessThan(TARBALL)
    for (const [name, limit] of Object.entries(BROWSER)) {
      const input = join(folder, `node_modules/nuxt-queue/dist/plugins/integrations/client`, BUILT[name as 'vue'])
      await using bundle = await rolldown({ input, external: ['vue'], platform: 'browser' })
      const { output } = await bundle.generate({ minify: true, codeSplitting: false })
      expect(gzipSync(output[0].code).length, name).toBeLessThan(limit)
    }
    const counted = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', COUNT], { cwd: folder })
    const read = JSON.parse(counted.stdout) as typeof START
    expect(read.files).toBeLessThan(START.files)
    expect(read.bytes).toBeLessThan(START.bytes)
    // Code that is not counted would make the limits worthless.
    expect(read.bytes).toBeGreaterThan(START.bytes / 2)
  })
})
