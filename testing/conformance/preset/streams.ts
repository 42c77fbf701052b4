import { expect, it } from 'vitest'
import { z } from 'zod'
import { isQueueError, type Kernel, type StreamMessage } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Subscribes to a run or to everything, and collects the events. */
async function watch(kernel: Kernel, stream: string, after?: number | string) {
  const types: string[] = []
  const seqs: number[] = []
  const ids: string[] = []
  const messages: StreamMessage[] = []
  let cursor: string | undefined
  const leave = await kernel.streams.follow(
    stream,
    { after },
    {
      onEvents(events, now) {
        types.push(...events.map(({ type }) => type))
        seqs.push(...events.map(({ seq }) => seq))
        ids.push(...events.map(({ id }) => id))
        cursor = now
      },
      onMessage: (message) => void messages.push(message),
    },
  )
  return { types, seqs, ids, messages, leave, cursor: () => cursor }
}

const said = (messages: readonly StreamMessage[]): unknown[] =>
  messages.map(({ data }) => (data as { data?: unknown }).data)

/** Tests what subscribers of a run receive. */
export function streamTests(test: PresetTest): void {
  it(
    'replays a run and then follows it, each event once, for clients that join at any time',
    test(async ({ kernel, start, reach, until, events }) => {
      const more = Promise.withResolvers<void>()
      await start({
        async w(_job, ctx) {
          for (let n = 0; n < 20; n++) await ctx.emit('early', n)
          await more.promise
          for (let n = 0; n < 20; n++) await ctx.emit('late', n)
        },
      })
      const job = await kernel.enqueue('w')
      const first = await watch(kernel, job.runId, 0)
      await until('it is half done', () => first.types.filter((type) => type === 'early').length === 20)
      const joined = [
        await watch(kernel, job.runId, 0),
        await watch(kernel, job.runId, '5'),
        await watch(kernel, job.runId),
      ]
      more.resolve()
      await reach(job, 'completed')
      const all = (await events(job.runId)).map(({ seq }) => seq)
      const after = await watch(kernel, job.runId, 0)
      for (const [one, from] of [
        [first, 0],
        [joined[0]!, 0],
        [joined[1]!, 5],
        [joined[2]!, 21],
        [after, 0],
      ] as const) {
        await until('all have the end', () => one.types.includes('step.completed'))
        expect(one.seqs).toEqual(all.slice(from))
        one.leave()
      }
    }),
  )

  it(
    'sends messages to the clients that follow the run, and keeps stored messages for clients that come later',
    test(async ({ kernel, start, reach, until }) => {
      await start({
        w: [
          { client: { token: z.string().trim(), answer: { schema: z.object({ text: z.string() }), store: true } } },
          async (_job, ctx) => {
            const { send } = ctx.client
            await send('token', ' Once ')
            await send('answer', { text: 'kept' })
            await send('answer', { text: 'gone' }, { store: false })
            await send('token', 'kept', { store: true })
            const refused = [send('token', 7), send('other', 'x')].map((sent) => sent.catch((error: unknown) => error))
            return (await Promise.all(refused)).map((error) => isQueueError(error) && error.code)
          },
        ],
      })
      const early = await watch(kernel, 'told')
      const job = await kernel.enqueue('w', null, { runId: 'told' })
      const record = await reach(job, 'completed')
      expect(record).toMatchObject({ result: ['VALIDATION_FAILED', 'VALIDATION_FAILED'] })
      await until('the client has both messages', () => said(early.messages).length === 2)
      expect(said(early.messages)).toEqual(['Once', { text: 'gone' }])
      const stored = await kernel.port('events').read('told', { types: ['client.message'] })
      expect(stored.map(({ data, step }) => [step, data])).toEqual([
        ['w', { type: 'answer', data: { text: 'kept' } }],
        ['w', { type: 'token', data: 'kept' }],
      ])
      const late = await watch(kernel, 'told', 0)
      await until('late has it all', () => late.types.includes('step.completed'))
      expect(late.types.filter((type) => type === 'client.message')).toHaveLength(2)
      expect(said(late.messages)).toEqual([])
    }),
  )

  it(
    'follows all runs, and continues after a cursor if the store supports it',
    test(async ({ kernel, start, reach, until }) => {
      await start({ w: [{ concurrency: 5 }, () => {}] })
      const every = await watch(kernel, '*')
      await reach(await kernel.enqueue('w'), 'completed')
      await until('the first is seen', () => every.types.includes('step.completed'))
      const { globalCursor } = kernel.port('events').capabilities
      const from = every.cursor()
      expect(typeof from).toBe(globalCursor ? 'string' : 'undefined')
      const before = every.ids.length
      const ends = (types: string[]): number => types.filter((type) => type === 'step.completed').length
      const work = (jobs: number) => Promise.all(Array.from({ length: jobs }, () => kernel.enqueue('w')))
      await work(5)
      await until('some of them are seen', () => ends(every.types) > 2)
      const again = await codeOf(async () => {
        const working = work(10)
        const resumed = await watch(kernel, '*', from ?? 'none')
        await working
        await work(5)
        await until('both have seen all', () => ends(every.types) === 21 && ends(resumed.types) === 20)
        expect(new Set(resumed.ids).size).toBe(resumed.ids.length)
        expect(resumed.ids.toSorted()).toEqual(every.ids.slice(before).toSorted())
        const [one] = await work(1)
        await until('both see another', () => [every, resumed].every(({ ids }) => ids.includes(`${one!.runId}:2`)))
      })
      expect(again).toBe(globalCursor ? undefined : 'OPTION_UNSUPPORTED')
    }),
  )

  it(
    'reaches clients that follow in another process, and counts them',
    test(async ({ kernel, sibling, start, reach, until }) => {
      const other = await sibling()
      const answers: boolean[] = []
      await start({
        async w(_job, ctx) {
          answers.push(await ctx.client.hasSubscribers())
          await ctx.client.send('token', 'over there')
          await ctx.progress(0.5, 'half')
        },
      })
      expect(await other.streams.hasSubscribers('far')).toBe(false)
      const far = await watch(other, 'far', 0)
      await reach(await kernel.enqueue('w', null, { runId: 'far' }), 'completed')
      await until('all of it arrives', () => far.messages.length === 2 && far.types.includes('step.completed'))
      expect(answers).toEqual([true])
      expect(far.messages).toMatchObject([
        { type: 'client', data: { type: 'token', data: 'over there' } },
        { type: 'progress', data: { value: 0.5, message: 'half' } },
      ])
      far.leave()
      await until('no followers are counted', async () => !(await kernel.streams.hasSubscribers('far')))
      await kernel.enqueue('w', null, { runId: 'unseen' })
      await until('it has asked', () => answers.length === 2)
      expect(answers).toEqual([true, false])
    }),
  )
}
