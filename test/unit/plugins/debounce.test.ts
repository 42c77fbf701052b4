import { expect, it } from 'vitest'
import { z } from 'zod'
import { createTestKernel } from '../../../testing/index.ts'
import { newFolder, openFolder } from './file/rig.ts'

it('runs a window with its newest data in the process after the one that died', async () => {
  const folder = newFolder()
  const config = { queue: 'w', debounce: { delay: 1000 } }
  const ran: unknown[] = []
  const workers = { w: { config, handler: ({ data }: { data: unknown }) => void ran.push(data) } }
  const before = await openFolder(folder, {}, { workers })
  const first = await before.kernel.enqueue('w', 1)
  await before.kernel.enqueue('w', 2)
  await before.close()
  await using after = await openFolder(folder, {}, { workers })
  expect(await after.kernel.enqueue('w', 3)).toEqual({ ...first, deduplicated: true })
  expect(ran).toEqual([])
  await after.advance('2s')
  expect(ran).toEqual([3])
})

it('bounds the history of a key that is always busy', async () => {
  const ran: unknown[] = []
  await using test = await createTestKernel({
    workers: { w: { config: { queue: 'w', debounce: { delay: 10 } }, handler: ({ data }) => void ran.push(data) } },
  })
  for (let n = 0; n < 600; n++) {
    await test.kernel.enqueue('w', n)
    await test.advance(20)
  }
  expect(ran).toEqual(Array.from({ length: 600 }, (_, n) => n))
  const [run] = await test.kernel.port('events').runs.list({ queue: '_debounce' })
  expect(run).toMatchObject({ status: 'completed', head: 1200 })
  await expect(test.events(run!.runId)).rejects.toMatchObject({ code: 'EVENTS_TRIMMED' })
})

it('leaves no data of a rejected call', async () => {
  await using test = await createTestKernel({
    workers: { w: { config: { input: z.number(), debounce: { delay: 10, key: String } }, handler: () => null } },
  })
  await expect(test.kernel.enqueue('w', 'text')).rejects.toMatchObject({ code: 'VALIDATION_FAILED' })
  expect(await test.kernel.port('events').runs.list({ status: 'running' })).toEqual([])
  const { id } = await test.kernel.enqueue('w', 1)
  await test.advance(20)
  expect(await test.kernel.port('queue').getJob('default', id)).toMatchObject({ state: 'completed' })
})
