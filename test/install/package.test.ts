import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installPackage } from './install.ts'

/** Of files, all dependencies included and peers left out. */
const LIMIT = 20_000_000

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-alone-'))
  await installPackage('alone', folder)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function files(): Promise<string[]> {
  const all = await readdir(join(folder, 'node_modules'), { recursive: true, withFileTypes: true })
  return all.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name))
}

describe('the package in a folder that was empty', () => {
  it('brings no Node, and puts none on the PATH of the scripts there', async () => {
    const packages = (await readdir(join(folder, 'node_modules'))).filter((name) => name.startsWith('node'))
    const programs = (await files()).filter((path) => /\/node(?:\.exe)?$/.test(path))
    expect({ packages, programs }).toEqual({ packages: [], programs: [] })
    expect(await readdir(join(folder, 'node_modules/.bin'))).not.toContain('node')
    expect(existsSync(join(folder, 'node_modules/nuxt-queue/tools'))).toBe(false)
  })

  it('asks for no optional dependency, so no platform gets more than another', async () => {
    const manifest = JSON.parse(await readFile(join(folder, 'node_modules/nuxt-queue/package.json'), 'utf8')) as object
    expect(manifest).not.toHaveProperty('optionalDependencies')
  })

  it('takes less than 20 MB', async () => {
    const sizes = await Promise.all((await files()).map(async (path) => (await stat(path)).size))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(LIMIT)
  })
})
