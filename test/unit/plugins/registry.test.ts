import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { definePlugin } from '../../../kernel/index.ts'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
const scanning = (folder: string, watch = false): Promise<TestKernel> =>
  createTestKernel({ config: { registry: { rootDir: folder, dirs: ['.'], watch } } })

describe('the scan of a folder', () => {
  it('registers workers by path, loads TypeScript without a build step', async () => {
    await using test = await scanning(join(fixtures, 'workers'))
    const workers = test.kernel.registry.workers.filter(({ absPath }) => absPath)
    expect(workers.map(({ id, name, queue, worker }) => [id, name, queue.name, worker.concurrency])).toEqual([
      ['hello', 'hello', 'hello', 5],
      ['nested/train', 'train-model', 'default', 1],
    ])
    expect(workers[0]).toMatchObject({ absPath: join(fixtures, 'workers/hello.ts'), worker: { runtime: 'node' } })
    const results = ['hello', 'nested/train'].map(async (id) =>
      test.kernel.result(await test.kernel.enqueue(id, 'Ada')),
    )
    expect(await Promise.all(results)).toEqual(['hello Ada', 'train-model'])
    expect(test.reports).toEqual([])
  })

  it('reports each broken file with its path and reason, and keeps the others', async () => {
    await using test = await scanning(join(fixtures, 'broken'))
    expect(test.kernel.registry.workers.filter(({ absPath }) => absPath).map(({ id }) => id)).toEqual(['fine'])
    const messages = test.reports.map(({ message }) => message)
    expect(messages).toEqual([
      expect.stringMatching(/broken\/no-handler\.ts is skipped: .*no default export.*let its name begin with "_"/),
      expect.stringMatching(/broken\/other\.lua is skipped: No runtime loads \.lua files/),
      expect.stringMatching(/broken\/syntax\.ts is skipped: (?!.*syntax\.ts)/),
      expect.stringMatching(/broken\/throws\.ts is skipped: .*no database/),
    ])
  })

  it('names both files of one job', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
    await writeFile(join(folder, 'one.mjs'), `export const config = { name: 'same' }\nexport default () => {}`)
    await writeFile(join(folder, 'two.mjs'), `export const config = { name: 'same' }\nexport default () => {}`)
    const error = await scanning(folder).catch((thrown: unknown) => thrown)
    expect((error as Error).message).toMatch(/one\.mjs and .*two\.mjs both handle "same" on queue "default"/)
    await rm(folder, { recursive: true })
  })

  it('has no workers where there is no folder', async () => {
    await using test = await scanning(join(fixtures, 'nowhere'))
    expect(test.kernel.registry.workers.filter(({ absPath }) => absPath)).toEqual([])
  })
})

describe('watching', () => {
  it('runs the new code for the next job, and keeps queued jobs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
    await cp(join(fixtures, 'workers/nested/train.mjs'), join(folder, 'work.mjs'))
    await writeFile(join(folder, 'work.mjs'), `export default () => 'old'`)
    await using test = await scanning(folder, true)
    const { kernel } = test
    const queue = kernel.port('queue')
    expect(await kernel.result(await kernel.enqueue('work'))).toBe('old')
    await queue.pause('default')
    const queued = await kernel.enqueue('work')
    const before = kernel.registry.get('work')
    await writeFile(join(folder, 'work.mjs'), `export default () => 'new'`)
    await expect.poll(() => kernel.registry.get('work') !== before).toBe(true)
    await queue.resume('default')
    expect(await kernel.result(queued)).toBe('new')
    await writeFile(join(folder, 'more.mjs'), `export default () => 'more'`)
    await expect.poll(() => kernel.registry.get('more')?.id).toBe('more')
    expect(await kernel.result(await kernel.enqueue('more'))).toBe('more')
    await rm(join(folder, 'more.mjs'))
    await expect.poll(() => kernel.registry.get('more')).toBeUndefined()
    await rm(folder, { recursive: true })
  })

  it('finds a folder that is added later, with its folders, and forgets the workers of a folder that leaves', async () => {
    const root = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
    await using test = await createTestKernel({
      config: { registry: { rootDir: root, dirs: ['server/queues'], watch: true } },
    })
    const { registry } = test.kernel
    const folder = join(root, 'server/queues')
    await mkdir(join(root, 'server'))
    await mkdir(folder)
    await writeFile(join(folder, 'hello.mjs'), 'export default () => {}')
    await expect.poll(() => registry.get('hello')?.id, { timeout: 10_000 }).toBe('hello')
    await mkdir(join(root, 'order/new'), { recursive: true })
    await writeFile(join(root, 'order/new/take.mjs'), 'export default () => {}')
    await rename(join(root, 'order'), join(folder, 'order'))
    await expect.poll(() => registry.get('order/new/take')?.id, { timeout: 10_000 }).toBe('order/new/take')
    await writeFile(join(folder, 'hello.mjs~'), 'a backup of an editor')
    await rename(join(folder, 'order'), join(root, 'order'))
    await expect.poll(() => registry.get('order/new/take'), { timeout: 10_000 }).toBeUndefined()
    expect(registry.get('hello')?.id).toBe('hello')
    expect(test.reports).toEqual([])
    await rm(root, { recursive: true })
  })

  it('says nothing about a file that leaves while it is loaded', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
    const loads: string[] = []
    const leaving = definePlugin({
      name: 'leaving',
      setup: (kernel) =>
        kernel.provide('runtime', {
          name: 'leaving',
          extensions: ['.leaving'],
          load: async (file) => {
            loads.push(file)
            await rm(file)
            await readFile(file)
            throw new Error('unreachable')
          },
          execute: () => undefined,
        }),
    })
    await using test = await createTestKernel({
      plugins: [leaving],
      config: { registry: { rootDir: folder, dirs: ['.'], watch: true } },
    })
    await writeFile(join(folder, 'one.leaving'), '')
    await expect.poll(() => loads).toEqual([join(folder, 'one.leaving')])
    await writeFile(join(folder, 'two.mjs'), 'export default () => {}')
    await expect.poll(() => test.kernel.registry.get('two')?.id).toBe('two')
    expect(test.reports).toEqual([])
    await rm(folder, { recursive: true })
  })
})
