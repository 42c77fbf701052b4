import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { expect, it } from 'vitest'
import type { EventStore, QueueProvider } from '../../../kernel/index.ts'
import type { PresetTest } from './rig.ts'

const SECRETS = ['data', 'result', 'state', 'log', 'memo', 'event', 'message', 'cause'].map((what) => `secret ${what}`)
const encryption = { keys: { test: 'ab'.repeat(32) } }

/** Returns the store inside all wrappers, which do not replace `close`. */
function stored<T extends QueueProvider | EventStore>(port: T): T {
  return Object.hasOwn(port, 'close') ? port : stored(Object.getPrototypeOf(port) as T)
}

/** Tests that the store holds no payload in plain text, and everybody reads plain text. */
export function encryptionTests(test: PresetTest): void {
  it(
    'stores payloads encrypted, and gives them to handlers and readers in plain text',
    test(
      async ({ kernel, start, reach, events }) => {
        const seen: unknown[] = []
        await start({
          async w(job, ctx) {
            seen.push(job.data)
            await ctx.state.set('key', 'secret state')
            await ctx.logger.info('secret log', { at: 'secret log' })
            await ctx.emit('user.event', ['secret event'])
            seen.push(await ctx.step.run('call', () => 'secret memo'), await ctx.state.getAll())
            return { at: new Date(0), text: 'secret result' }
          },
          fails() {
            throw new RangeError('secret message', { cause: new Error('secret cause') })
          },
        })
        const done = await kernel.enqueue('w', { text: 'secret data' }, { tags: ['clear'] })
        const failed = await kernel.enqueue('fails', 'secret data')
        const [good, bad] = [await reach(done, 'completed'), await reach(failed, 'failed')]
        expect(seen).toEqual([{ text: 'secret data' }, 'secret memo', { key: 'secret state' }])
        expect(good).toMatchObject({ data: { text: 'secret data' }, tags: ['clear'] })
        expect(await done.result()).toEqual({ at: new Date(0), text: 'secret result' })
        expect(bad.error).toMatchObject({
          name: 'RangeError',
          message: 'secret message',
          cause: { message: 'secret cause' },
        })
        expect(await kernel.state(done.runId)).toEqual({ key: 'secret state' })
        const plain = [await events(done.runId), await events(failed.runId), good, bad]
        expect(SECRETS.filter((secret) => !JSON.stringify(plain).includes(secret))).toEqual([])
        const response = await kernel.http.fetch(new Request(`http://localhost/_queue/api/jobs/w/${done.id}`), {
          trusted: true,
        })
        expect(await response.text()).toContain('secret data')

        const [queue, log] = [stored(kernel.port('queue')), stored(kernel.port('events'))]
        const raw = await Promise.all([
          ...[done, failed].map(async (job) => queue.getJob(job.queue, job.id)),
          ...[done, failed].map(async ({ runId }) => log.read(runId)),
        ])
        const text = JSON.stringify(raw)
        expect(SECRETS.filter((secret) => text.includes(secret))).toEqual([])
        // Names, tags and moments stay readable without a key.
        expect(raw[1]).toMatchObject({ name: 'fails', error: { name: 'RangeError' } })
        expect(text).toContain('"clear"')
      },
      { encryption },
    ),
  )

  it('keeps large values in a folder, and references in the store', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-payloads-'))
    const offload = { storage: folder, threshold: 1000 }
    const body = test(
      async ({ kernel, start, reach, events }) => {
        const [data, result, state] = ['data', 'result', 'state'].map((text) => text.padEnd(5000, '.'))
        await start({
          async w(job, ctx) {
            await ctx.state.set('key', state)
            return { data: job.data, result }
          },
        })
        const job = await kernel.enqueue('w', data)
        const record = await reach(job, 'completed')
        expect(record).toMatchObject({ data, result: { data, result } })
        expect(await kernel.state(job.runId)).toEqual({ key: state })
        const plain = await events(job.runId)
        const raw = await stored(kernel.port('events')).read(job.runId)
        expect(JSON.stringify(plain).length).toBeGreaterThan(15_000)
        expect(JSON.stringify([raw, await stored(kernel.port('queue')).getJob('w', job.id)]).length).toBeLessThan(5000)
        expect(await readdir(folder)).toEqual([Buffer.from(job.runId).toString('hex')])
      },
      { offload },
    )
    try {
      await body()
    } finally {
      await rm(folder, { recursive: true })
    }
  })
}
