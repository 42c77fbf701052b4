import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createKernel, type Kernel } from 'nuxt-queue'
import { join } from 'pathe'
import { afterEach, describe, expect, it } from 'vitest'
import { PREPARED } from '../../plugins/adapters/pglite/prepared.ts'
import '../services/compiled-pglite.ts'
import { ROOT, startNode } from './processes.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-embedded-'))
  folders.push(folder)
  return folder
}

function open(dir: string): Promise<Kernel> {
  const config = { embedded: { path: dir }, registry: { dirs: [] }, setupTimeout: 240_000 }
  return createKernel({ preset: 'embedded', config })
}

/** A process that claims a job and never settles it. */
const HOLDER = (dir: string): string => `
  import { createKernel } from ${JSON.stringify(join(ROOT, 'dist/index.js'))}
  const config = { embedded: { path: ${JSON.stringify(dir)} }, registry: { dirs: [] }, setupTimeout: 240_000 }
  const kernel = await createKernel({ preset: 'embedded', config })
  await kernel.registerWorker({ id: 'w', handler: () => new Promise(() => console.log('has it')) })
  await kernel.enqueue('w', 'held', { id: 'held' })
  await kernel.enqueue('w', 'waits', { id: 'waits' })
  await kernel.start()`

describe('the embedded database', () => {
  it('has an archive from which it starts', () => {
    expect(existsSync(PREPARED)).toBe(true)
  })

  it('names the cause for a folder of another version of PostgreSQL, and for a broken one, and leaves both as they are', async () => {
    const dir = newFolder()
    await (await open(dir)).close()
    const version = join(dir, 'data/PG_VERSION')
    const current = readFileSync(version, 'utf8').trim()
    writeFileSync(version, '12\n')
    const message = expect.stringContaining(`PostgreSQL 12, and this PGlite contains PostgreSQL ${current}`)
    await expect(open(dir)).rejects.toMatchObject({ code: 'STORE_INCOMPATIBLE', message })
    writeFileSync(version, `${current}\n`)
    await (await open(dir)).close()
    writeFileSync(join(dir, 'data/global/pg_control'), 'broken')
    await expect(open(dir)).rejects.toMatchObject({ code: 'STORE_REFUSED' })
    expect(readFileSync(join(dir, 'data/global/pg_control'), 'utf8')).toBe('broken')
  })

  it('restores stored data, rejects a second kernel, reclaims the jobs of a killed process, and recreates an unfinished database', async () => {
    const dir = newFolder()
    const first = await open(dir)
    await expect(open(dir)).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      plugin: 'pglite',
      cause: { code: 'STORE_LOCKED' },
    })
    const { runId } = await first.enqueue(
      { queue: 'q', name: 'n' },
      { at: new Date(5) },
      { id: 'one', delay: 3_600_000 },
    )
    await first.emit(runId, [{ type: 'mine', data: 1n }], { run: { status: 'running', name: 'n' } })
    await first.close()

    const holder = startNode(['--input-type=module', '-e', HOLDER(dir)], ROOT)
    await holder.until(/has it/)
    holder.kill('SIGKILL')
    await holder.ended

    const kernel = await open(dir)
    expect(await kernel.port('queue').getJob('q', 'one')).toMatchObject({ state: 'delayed', data: { at: new Date(5) } })
    expect(await kernel.port('events').read(runId)).toMatchObject([{ seq: 1, type: 'mine', data: 1n }])
    await kernel.registerWorker({ id: 'w', handler: ({ data, crashes }) => ({ data, crashes }) })
    await kernel.start()
    const results = ['held', 'waits'].map(async (id) => {
      const job = await kernel.port('queue').getJob('default', id)
      return kernel.result(job!)
    })
    expect(await Promise.all(results)).toEqual([
      { data: 'held', crashes: 1 },
      { data: 'waits', crashes: 0 },
    ])
    await kernel.close()

    rmSync(join(dir, 'ready'))
    const anew = await open(dir)
    expect(await anew.port('queue').getJobs()).toEqual([])
    await anew.close()
  })
})
