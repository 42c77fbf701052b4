import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createKernel, type Kernel } from '../../../kernel/index.ts'
import { abortMove, moveStore, type MovedStore } from '../../../plugins/integrations/lib/backup/move.ts'
import devFile from '../../../presets/dev-file.ts'
import memory from '../../../presets/test.ts'

const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-move-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const NOW = { settle: 0 }

/** Opens a store in a folder, as the application does, or as `migrate` does. */
function open(name: string, moved: 'refuse' | 'ignore' = 'ignore'): Promise<Kernel> {
  const file = { path: join(folder, name), fsync: 'never' as const }
  return createKernel({ preset: devFile, config: { ...memory.config, file, instances: { heartbeat: 0, moved } } })
}

function sideOf(kernel: Kernel, name: string): MovedStore {
  const [events, jobs, port] = [kernel.port('eventCopies'), kernel.port('jobCopies'), kernel.port('events')]
  return { events, jobs, port, name, assertUnused: async () => {} }
}

/** Fails after a number of writes to either store, like a process that was killed. */
function dying([source, target]: readonly [MovedStore, MovedStore], after: number): [MovedStore, MovedStore] {
  let writes = 0
  const dies =
    <A extends unknown[], R>(write: (...args: A) => R) =>
    (...args: A): R => {
      if (writes++ >= after) throw new Error('killed')
      return write(...args)
    }
  const wrap = (side: MovedStore): MovedStore => ({
    ...side,
    port: { ...side.port, append: dies(side.port.append) },
    events: { ...side.events, write: dies(side.events.write) },
    jobs: { ...side.jobs, write: dies(side.jobs.write), pause: dies(side.jobs.pause) },
  })
  return [wrap(source), wrap(target)]
}

async function fill(name: string): Promise<void> {
  const kernel = await open(name)
  await kernel.registerWorker({ id: 'mail', handler: () => {} })
  await kernel.port('queue').pause('default')
  for (const n of [1, 2, 3]) await kernel.enqueue('mail', n)
  await kernel.port('events').append('done', [{ type: 'noted' }], { run: { status: 'completed', name: 'note' } })
  await kernel.close()
}

it('lets processes use exactly one store, wherever the move is killed, and continues', async () => {
  await fill('old')
  let moved = false
  for (let writes = 0; !moved && writes < 20; writes++) {
    const [old, fresh] = await Promise.all(['old', 'new'].map((name) => open(name)))
    const sides = [sideOf(old!, 'old'), sideOf(fresh!, 'new')] as const
    moved = await moveStore(...dying(sides, writes), NOW).then(
      () => true,
      () => false,
    )
    await Promise.all([old!.close(), fresh!.close()])
    // An empty store that has not been marked yet may be used. Then the old one may be used as well.
    const codes = await Promise.all(['old', 'new'].map(codeOfStart))
    const before = writes === 0
    expect(codes[0]).toBe(before ? undefined : 'STORE_MOVED')
    expect(codes[1], `after ${writes} writes`).toBe(moved || writes < 2 ? undefined : 'STORE_MOVED')
  }
  expect(moved).toBe(true)
  const target = await open('new', 'refuse')
  expect((await target.port('queue').getJobs({ states: ['waiting'] })).map(({ data }) => data)).toEqual([1, 2, 3])
  expect(await target.port('queue').isPaused('default')).toBe(true)
  expect(await target.port('events').runs.get('done')).toMatchObject({ status: 'completed', head: 1 })
  await target.close()
})

async function codeOfStart(name: string): Promise<unknown> {
  try {
    const kernel = await open(name, 'refuse')
    await kernel.close()
    return undefined
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

it('can be aborted until it is complete, and refuses other targets and stores that are in use', async () => {
  await fill('from')
  const [from, to, other] = await Promise.all(['from', 'to', 'other'].map((name) => open(name)))
  const source = sideOf(from!, 'from')
  const busy = { ...source, assertUnused: () => Promise.reject(new Error('in use')) }
  await expect(moveStore(busy, sideOf(to!, 'to'), NOW)).rejects.toThrow('in use')
  expect(await abortMove(source)).toBe(false)

  await expect(moveStore(...dying([source, sideOf(to!, 'to')], 3), NOW)).rejects.toThrow('killed')
  await expect(moveStore(source, sideOf(other!, 'other'), NOW)).rejects.toMatchObject({ code: 'STORE_MOVED' })
  expect(await abortMove(source)).toBe(true)
  await expect(moveStore(source, sideOf(to!, 'to'), NOW)).rejects.toMatchObject({ code: 'STORE_NOT_EMPTY' })
  expect(await moveStore(source, sideOf(other!, 'other'), NOW)).toMatchObject({ jobs: 3 })
  expect(await moveStore(source, sideOf(other!, 'other'), NOW)).toBeUndefined()
  await expect(abortMove(source)).rejects.toMatchObject({ code: 'STORE_MOVED' })
  await Promise.all([from!.close(), to!.close(), other!.close()])
})
