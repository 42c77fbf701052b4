import { expect, it } from 'vitest'
import type { EventStore, QueueProvider } from '../../../kernel/index.ts'
import type { PresetTest } from './rig.ts'

const SECRETS = ['data', 'result', 'state', 'log', 'memo', 'event', 'message', 'cause'].map((what) => `secret ${what}`)
const encryption = { keys: { test: 'ab'.repeat(32) } }

/** Returns the store that a wrapper has around itself. */
function stored<T extends QueueProvider | EventStore>(port: T): T {
  return Object.getPrototypeOf(port) as T
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
}
