import { expect, it } from 'vitest'
import type { Kernel, StoredEvent } from '../../../kernel/index.ts'
import type { PresetTest } from './rig.ts'

const API = 'http://localhost/_queue/api/'

async function open(kernel: Kernel, path: string): Promise<ReadableStreamDefaultReader<string>> {
  const response = await kernel.http.fetch(new Request(API + path), { trusted: true })
  expect(response.status).toBe(200)
  return response.body!.pipeThrough(new TextDecoderStream()).getReader()
}

/** Reads a stream until it ends or contains a text. */
async function read(reader: ReadableStreamDefaultReader<string>, until?: string): Promise<string> {
  let text = ''
  for (;;) {
    const { value, done } = await reader.read()
    text += value ?? ''
    if (done || (until !== undefined && text.includes(until))) return text
  }
}

const eventsIn = (text: string): StoredEvent[] =>
  [...text.matchAll(/^data: (\{"seq".*|\{.*"seq":.*)$/gm)].map(([, json]) => JSON.parse(json!) as StoredEvent)

/** Tests the parts of the HTTP interface that depend on the store. */
export function httpTests(test: PresetTest): void {
  it(
    'streams a run from its beginning to its end, and then closes',
    test(async ({ kernel, start }) => {
      const gate = Promise.withResolvers<void>()
      await start({
        work: async (_job, ctx) => {
          for (let n = 0; n < 20; n++) await ctx.emit('noted', { n })
          await gate.promise
          for (let n = 20; n < 40; n++) await ctx.emit('noted', { n })
        },
      })
      const job = await kernel.enqueue('work')
      const early = await open(kernel, `runs/${job.runId}/stream`)
      const begun = await read(early, '"n":19')
      gate.resolve()
      const text = begun + (await read(early))
      const { length } = await kernel.port('events').read(job.runId)
      expect(eventsIn(text).map(({ seq }) => seq)).toEqual(Array.from({ length }, (_, index) => index + 1))
      expect(text.trimEnd().split('\n').slice(-2)).toEqual(['event: end', 'data: {"status":"completed"}'])
      const late = await read(await open(kernel, `runs/${job.runId}/stream?after=${length - 1}`))
      expect(eventsIn(late).map(({ seq }) => seq)).toEqual([length])
    }),
  )

  it(
    'streams all runs, and continues after a cursor if the store supports it',
    test(async ({ kernel, start, reach }) => {
      await start({ work: (_job, ctx) => ctx.emit('noted').then(() => 'done') })
      const reader = await open(kernel, 'stream')
      const first = await kernel.enqueue('work')
      const text = await read(reader, `"key":"end:${first.id}`)
      expect(new Set(eventsIn(text).map(({ runId }) => runId))).toEqual(new Set([first.runId]))
      await reader.cancel()
      const cursor = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1]
      const { globalCursor } = kernel.port('events').capabilities
      expect(cursor !== undefined).toBe(globalCursor)
      const second = await kernel.enqueue('work')
      await reach(second, 'completed')
      const path = `stream?after=${encodeURIComponent(cursor ?? 'none')}`
      const again = await kernel.http.fetch(new Request(API + path), { trusted: true })
      const wanted = globalCursor ? `"key":"end:${second.id}` : 'OPTION_UNSUPPORTED'
      const later = again.body!.pipeThrough(new TextDecoderStream()).getReader()
      expect(await read(later, wanted)).toContain(wanted)
      expect(again.status).toBe(globalCursor ? 200 : 400)
      await later.cancel()
    }),
  )
}
