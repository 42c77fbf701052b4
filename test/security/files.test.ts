import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDescriptionCache } from '../../plugins/runtimes/python/cache.ts'
import { isOwnersAlone, privateFolder } from '../../plugins/lib/private-folder.ts'
import { serve } from '../../plugins/integrations/cli/server.ts'
import { socketPath } from '../../plugins/integrations/cli/socket-path.ts'
import { createKernel } from '../../kernel/index.ts'
import devFile from '../../presets/dev-file.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-files-'))))
afterEach(() => rmSync(folder, { recursive: true }))

const modeOf = (path: string): number => statSync(path).mode & 0o777

describe('the folder for caches and sockets', () => {
  it('is created for its user only', () => {
    const made = privateFolder({ XDG_CACHE_HOME: folder })
    expect([made, modeOf(made!)]).toEqual([join(folder, 'nuxt-queue'), 0o700])
    expect(privateFolder({ XDG_CACHE_HOME: folder })).toBe(made)
  })

  it('is another folder if another user may enter it', () => {
    mkdirSync(join(folder, 'nuxt-queue'))
    chmodSync(join(folder, 'nuxt-queue'), 0o777)
    expect(privateFolder({ XDG_CACHE_HOME: folder })).not.toContain(folder)
  })

  it('is another folder if a link is in its place', () => {
    mkdirSync(join(folder, 'elsewhere'), { mode: 0o700 })
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'nuxt-queue'))
    expect(isOwnersAlone(join(folder, 'elsewhere'))).toBe(true)
    expect(isOwnersAlone(join(folder, 'nuxt-queue'))).toBe(false)
    expect(privateFolder({ XDG_CACHE_HOME: folder })).not.toContain(folder)
  })

  it('is another folder if a file or a relative path is in its place', () => {
    expect(privateFolder({ XDG_CACHE_HOME: 'cache' })).not.toContain('cache/')
    expect(privateFolder({ XDG_CACHE_HOME: '/proc/version' })).not.toContain('/proc')
  })
})

describe('the socket of a dev process', () => {
  it('is in a folder that only its user may enter, even if the folder was open to others', async () => {
    mkdirSync(join(folder, '.nuxt-queue'))
    chmodSync(join(folder, '.nuxt-queue'), 0o777)
    const { path, close } = await serve(folder, {} as never)
    expect([path, modeOf(join(folder, '.nuxt-queue'))]).toEqual([join(folder, '.nuxt-queue/dev.sock'), 0o700])
    await close()
  })

  it('is elsewhere if its folder is a link', () => {
    mkdirSync(join(folder, 'elsewhere'))
    symlinkSync(join(folder, 'elsewhere'), join(folder, '.nuxt-queue'))
    expect(socketPath(folder)).not.toContain(folder)
  })
})

describe('configs of Python workers that were read before', () => {
  it('are stored in a file that only the user may read', async () => {
    const cache = createDescriptionCache(join(folder, 'cache/python.json'))
    await cache.put([{ file: '/a.py', config: {}, sources: {} }], 'print')
    expect(await cache.get('/a.py', 'print')).toEqual({})
    expect(readdirSync(join(folder, 'cache')).map((name) => [name, modeOf(join(folder, 'cache', name))])).toEqual([
      ['python.json', 0o600],
    ])
  })

  it('are not stored if no folder is private', async () => {
    const cache = createDescriptionCache(undefined)
    await cache.put([{ file: '/a.py', config: {}, sources: {} }], 'print')
    expect(await createDescriptionCache(undefined).get('/a.py', 'print')).toBe(undefined)
  })
})

it("journals and exported histories are their owner's alone", async () => {
  const path = join(folder, 'queue')
  const kernel = await createKernel({ preset: devFile, config: { file: { path }, registry: { dirs: [] } } })
  await kernel.registerWorker({ id: 'secret', handler: () => 'secret' })
  await kernel.start()
  const job = await kernel.enqueue('secret', 'secret')
  await kernel.result(job)
  await kernel.exportRun(job.runId, join(folder, 'run.jsonl'))
  await kernel.close()
  expect(modeOf(path)).toBe(0o700)
  expect(modeOf(join(folder, 'run.jsonl'))).toBe(0o600)
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  expect(files.length).toBeGreaterThan(1)
  for (const { parentPath, name } of files) expect([name, modeOf(join(parentPath, name))]).toEqual([name, 0o600])
})
