import { appendFileSync, cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'pathe'
import { describe, expect, it } from 'vitest'
import { contentsOf, newFolder, openFolder } from './rig.ts'

const echo = { echo: { config: { queue: 'q' }, handler: ({ data }: { data: unknown }) => data } }

/** Returns all files below a folder except its lock. */
function filesIn(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()
  const files = names.filter((name) => name !== 'lock' && statSync(join(folder, name)).isFile())
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

async function someWork(folder: string): Promise<void> {
  await using test = await openFolder(folder, {}, { workers: echo })
  await test.kernel.enqueue('echo', { greeting: 'hello', at: new Date(0), big: 12n })
  await test.kernel.enqueue('echo', 'later', { delay: 60_000, priority: 5 })
  await test.drain()
}

describe('journals', () => {
  it('are lines that a person can read, the same for the same jobs', async () => {
    const folders = [newFolder(), newFolder()]
    for (const folder of folders) await someWork(folder)
    const [first, second] = folders.map(filesIn)
    expect(first).toEqual(second)
    expect(first).toMatchInlineSnapshot(`
      {
        "events.jsonl": "{"journal":"nuxt-queue/events","version":1}
      {"stream":"id-1","seq":1,"ts":1767225600000,"events":[{"type":"step.started","step":"echo","stepId":"id-1","attempt":1,"data":{"queue":"q","name":"echo","worker":"echo","claim":1}}],"run":{"status":"running","name":"echo","queue":"q","jobId":"id-1"},"fence":{"job":"id-1","token":1}}
      {"stream":"id-1","seq":2,"ts":1767225600000,"events":[{"type":"step.completed","step":"echo","stepId":"id-1","attempt":1,"key":"end:id-1","data":{"result":{"greeting":"hello","at":{"$date":"1970-01-01T00:00:00.000Z"},"big":{"$bigint":"12"}}}}],"run":{"status":"completed","name":"echo","queue":"q","jobId":"id-1"},"fence":{"job":"id-1","token":1}}
      ",
        "limits.jsonl": "{"journal":"nuxt-queue/limits","version":1}
      ",
        "queues/q.jsonl": "{"journal":"nuxt-queue/jobs","version":1,"queue":"q"}
      {"job":"id-1","name":"echo","data":{"greeting":"hello","at":{"$date":"1970-01-01T00:00:00.000Z"},"big":{"$bigint":"12"}},"runId":"id-1","options":{},"priority":0,"createdAt":1767225600000,"runAt":1767225600000,"state":"waiting"}
      {"job":"id-1","state":"active","claims":1,"startedAt":1767225600000}
      {"job":"id-2","name":"echo","data":"later","runId":"id-2","options":{},"priority":5,"createdAt":1767225600000,"runAt":1767225660000,"state":"delayed"}
      {"job":"id-1","state":"completed","finishedAt":1767225600000,"result":{"greeting":"hello","at":{"$date":"1970-01-01T00:00:00.000Z"},"big":{"$bigint":"12"}}}
      ",
      }
    `)
  })

  it('restore jobs, runs, state, pauses and limits of queues in a later process', async () => {
    const folder = newFolder()
    await someWork(folder)
    const before = await openFolder(folder, {}, { now: Date.UTC(2026, 0, 1, 0, 1), workers: {} })
    await before.kernel.port('queue').pause('other')
    await before.kernel.queue('other').setLimits({ concurrency: 3, rate: { limit: 2, period: 1000 } })
    await before.kernel.queue('other').setLimits({ rate: null })
    const contents = await contentsOf(before.kernel)
    await before.close()
    await using after = await openFolder(folder, {}, { now: Date.UTC(2026, 0, 1, 0, 1) })
    expect(await contentsOf(after.kernel)).toEqual(contents)
    expect(await after.kernel.port('queue').isPaused('other')).toBe(true)
    expect(await after.kernel.queue('other').limits()).toEqual({ concurrency: 3 })
    expect(after.reports).toEqual([])
  })

  it('run a delayed job of an earlier process when it is due', async () => {
    const folder = newFolder()
    await someWork(folder)
    await using test = await openFolder(folder, {}, { workers: echo })
    const [job] = await test.kernel.port('queue').getJobs({ states: ['delayed'] })
    await test.advance('1m')
    expect(await test.kernel.result(job!)).toBe('later')
  })

  it('reclaim the jobs of a process that died, and count the crash', async () => {
    const [folder, copy] = [newFolder(), newFolder()]
    const started = Promise.withResolvers<void>()
    await using dying = await openFolder(
      folder,
      {},
      {
        workers: { slow: () => (started.resolve(), new Promise(() => {})) },
      },
    )
    const { queue, id } = await dying.kernel.enqueue('slow')
    await started.promise
    cpSync(folder, copy, { recursive: true, filter: (name) => !name.endsWith('lock') })
    await using next = await openFolder(copy, {}, { workers: { slow: (_job, { claim }) => claim } })
    await next.drain()
    expect(await next.kernel.port('queue').getJob(queue, id)).toMatchObject({
      ...{ state: 'completed', claims: 2, crashes: 1, attemptsMade: 0, result: 2 },
    })
  })

  it('wake a job that waits for a permit of a process that died', async () => {
    const [folder, copy] = [newFolder(), newFolder()]
    const worker = (handler: () => unknown) => ({ w: { config: { queue: 'q', concurrency: 2 }, handler } })
    const started = Promise.withResolvers<void>()
    const hold = worker(() => (started.resolve(), new Promise(() => {})))
    await using dying = await openFolder(folder, {}, { workers: hold })
    for (const id of ['holds', 'waits']) await dying.kernel.enqueue('w', id, { id, concurrencyKey: 'k' })
    await started.promise
    await dying.advance(10)
    expect(await dying.kernel.port('queue').getJob('q', 'waits')).toMatchObject({ state: 'delayed' })
    cpSync(folder, copy, { recursive: true, filter: (name) => !name.endsWith('lock') })
    await using next = await openFolder(copy, {}, { workers: worker(() => 'done') })
    await next.drain()
    expect(await next.kernel.port('queue').getJob('q', 'waits')).toMatchObject({ state: 'completed' })
  })

  it('cut an unfinished last line and report it', async () => {
    const folder = newFolder()
    await someWork(folder)
    const journal = join(folder, 'events.jsonl')
    const whole = readFileSync(journal, 'utf8')
    appendFileSync(journal, '{"stream":"id-1","seq":3,"ts":17')
    await using test = await openFolder(folder)
    expect(test.reports.map(({ level, message }) => [level, message])).toEqual([
      ['warn', expect.stringMatching(/events\.jsonl ended with an incomplete line.* 3 lines before it are intact/)],
    ])
    expect(readFileSync(journal, 'utf8')).toBe(whole)
  })

  it('cut a damaged part, and keep a copy of it', async () => {
    const folder = newFolder()
    await someWork(folder)
    const journal = join(folder, 'queues/q.jsonl')
    const lines = readFileSync(journal, 'utf8').split('\n')
    const damaged = [...lines.slice(0, 3), '\0\0\0\0', ...lines.slice(4)].join('\n')
    writeFileSync(journal, damaged)
    await using test = await openFolder(folder)
    expect(test.reports.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /q\.jsonl is damaged from byte \d+ onwards and was cut there\. .*q\.jsonl\.damaged-1\. The 3 lines before it are intact/,
      ),
    ])
    expect(readFileSync(`${journal}.damaged-1`, 'utf8')).toBe(damaged)
    expect(readFileSync(journal, 'utf8')).toBe(`${lines.slice(0, 3).join('\n')}\n`)
  })

  it('begin again when not even the first line was written', async () => {
    const folder = newFolder()
    await someWork(folder)
    for (const name of ['events.jsonl', 'queues/q.jsonl']) truncateSync(join(folder, name), 5)
    await using test = await openFolder(folder, {}, { workers: echo })
    const job = await test.kernel.enqueue('echo', 'fine')
    expect(await test.kernel.result(job)).toBe('fine')
  })

  it('reject a file of a newer version, and leave it unchanged', async () => {
    const folder = newFolder()
    await someWork(folder)
    const journal = join(folder, 'events.jsonl')
    const newer = readFileSync(journal, 'utf8').replace('"version":1', '"version":2')
    writeFileSync(journal, newer)
    await expect(openFolder(folder)).rejects.toMatchObject({ cause: { code: 'STORE_INCOMPATIBLE' } })
    expect(readFileSync(journal, 'utf8')).toBe(newer)
  })

  it('do not grow beyond their content', async () => {
    const folder = newFolder()
    await using test = await openFolder(folder, { compactAfter: 20 }, { workers: echo })
    const runOne = async (n: number): Promise<void> => {
      await test.kernel.enqueue('echo', n)
      await test.drain()
      await test.kernel.port('queue').clean({ outcome: 'completed', endedBefore: 0, keep: 3 })
      await test.kernel.port('events').expire({ outcome: 'completed', endedBefore: 0, keep: 3 })
    }
    const lines = (): number => {
      const files = filesIn(folder)
      return Math.max(...['events.jsonl', 'queues/q.jsonl'].map((name) => files[name]!.split('\n').length))
    }
    for (let n = 0; n < 300; n++) await runOne(n)
    // A compaction runs beside the jobs, and a slow disk lets many of them in meanwhile.
    await expect
      .poll(async () => {
        await runOne(300)
        return lines()
      })
      .toBeLessThan(400)
    const contents = await contentsOf(test.kernel)
    await test.close()
    await using after = await openFolder(folder)
    expect(await contentsOf(after.kernel)).toEqual(contents)
  })

  it('restore the last tags, including compacted ones', async () => {
    const folder = newFolder()
    const before = await openFolder(folder, { compactAfter: 5 })
    const store = before.kernel.port('events')
    for (let n = 0; n < 20; n++) await store.append('old', [{ type: 'a' }], { run: { tags: ['even', `n${n}`] } })
    await store.append('new', [{ type: 'a' }], { run: { tags: ['even'] } })
    await before.close()
    await using after = await openFolder(folder)
    const find = async (tag: string): Promise<string[]> =>
      (await after.kernel.port('events').runs.list({ tag })).map(({ runId }) => runId)
    expect([await find('even'), await find('n19'), await find('n18')]).toEqual([['new', 'old'], ['old'], []])
    await after.kernel.port('events').append('old', [], { run: { tags: [] } })
    expect(await find('even')).toEqual(['new'])
  })

  it('separate queues of any name', async () => {
    const folder = newFolder()
    const names = ['a/b', 'A/b', '../up', '.hidden', 'ü:%41', 'x'.repeat(300), '__proto__', ' ']
    const test = await openFolder(folder)
    for (const queue of names) await test.kernel.enqueue({ queue, name: 'n' }, queue)
    await test.close()
    await using after = await openFolder(folder)
    const queues = await after.kernel.port('queue').getQueues()
    const consumed = new Set(after.kernel.registry.workers.map(({ queue }) => queue.name))
    expect(queues.filter((name) => !consumed.has(name)).toSorted()).toEqual(names.toSorted())
    for (const queue of names) {
      expect(await after.kernel.port('queue').getJobs({ queue })).toMatchObject([{ queue, data: queue }])
    }
  })
})
