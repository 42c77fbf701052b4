import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'pathe'
import { expect, it } from 'vitest'
import { newFolder, openFolder } from './rig.ts'

const workers = { w: { config: { queue: 'q' }, handler: () => 'done' } }
const policy = { outcome: 'completed', endedBefore: 0, keep: 0, rememberFor: 3_600_000 } as const
const QUEUE = join('queues', 'q')

/** The journal of the queue, wherever in the folder it stands. */
function journalOf(dir: string): string {
  const name = readdirSync(dir, { recursive: true, encoding: 'utf8' }).find((path) => path.includes(QUEUE))
  return join(dir, name!)
}

it('does not rerun a known id, wherever the write that removes its job is torn', async () => {
  const dir = newFolder()
  const ran: unknown[] = []
  const first = await openFolder(dir, {}, { workers })
  await first.kernel.enqueue('w', 1, { id: 'charge' })
  await first.drain()
  await first.kernel.close()
  const kept = readFileSync(journalOf(dir)).byteLength

  const second = await openFolder(dir, {}, { workers })
  expect(await second.kernel.port('queue').clean(policy)).toBe(1)
  await second.kernel.close()
  const whole = readFileSync(journalOf(dir))
  expect(whole.byteLength).toBeGreaterThan(kept)

  const cuts = [kept, kept + 1, kept + 60, whole.byteLength - 2, whole.byteLength - 1, whole.byteLength]
  for (const length of cuts) {
    writeFileSync(journalOf(dir), whole.subarray(0, length))
    await using test = await openFolder(dir, {}, { workers: { w: { ...workers.w, handler: () => void ran.push(1) } } })
    const job = await test.kernel.port('queue').getJob('q', 'charge')
    const known = await test.kernel.port('queue').forgotten('q', 'charge')
    expect(job?.runId ?? known, `${length} of ${whole.byteLength} bytes`).toBeTypeOf('string')
    expect(await test.kernel.enqueue('w', 1, { id: 'charge' })).toMatchObject({ deduplicated: true })
    await test.drain()
  }
  expect(ran).toEqual([])
})

it('knows ids in a journal that was compacted, and no others in one that was not', async () => {
  const dir = newFolder()
  const first = await openFolder(dir, { compactAfter: 1 }, { workers })
  const lines = (): number => readFileSync(journalOf(dir), 'utf8').split('\n').length
  let ids = 0
  // A slow disk compacts later. Each id takes four lines.
  while (ids < 40 || lines() >= ids * 4) {
    const id = `id-${ids++}`
    await first.kernel.enqueue('w', id, { id })
    await first.drain()
    await first.kernel.port('queue').clean(policy)
  }
  await first.kernel.port('queue').remove('q', 'id-7')
  await first.kernel.close()

  await using test = await openFolder(dir, {}, { workers })
  const known = await Promise.all(
    Array.from({ length: ids }, async (_, n) => test.kernel.port('queue').forgotten('q', `id-${n}`)),
  )
  expect(known.flatMap((runId, n) => (runId === undefined ? [n] : []))).toEqual([7])
})
