import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { StoredEvent } from '../../../kernel/index.ts'
import { formatHistory } from '../../../plugins/observability/lib/history.ts'
import { openHistory } from '../../../plugins/integrations/cli/history.ts'
import { dev } from '../../../presets/index.ts'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function recorded(): Promise<{ kit: TestKernel; runId: string; file: string }> {
  const kit = await createTestKernel({
    workers: {
      odd: async (_job, ctx) => {
        await ctx.state.set('when', new Date(86_400_000))
        await ctx.state.set('big', 2n ** 70n)
        await kit.clock.advance('1h')
        await ctx.state.set('bytes', new Uint8Array([0, 255]))
        await ctx.state.set('tag', { $date: 'not a date' })
        await ctx.state.delete('big')
        return { nothing: undefined, odd: [Number.NaN, -0] }
      },
    },
  })
  const { runId } = await kit.kernel.enqueue('odd', { $bigint: '1' })
  await kit.drain()
  const file = join(folder, 'nested', `${runId}.jsonl`)
  return { kit, runId, file }
}

test('a run that was exported opens as it was: run, events, and its state at every moment', async () => {
  const { kit, runId, file } = await recorded()
  await using _kit = kit
  const written = await kit.kernel.exportRun(runId, file)
  const opened = await openHistory(file, dev, folder)

  const { run, events } = await opened.ask('run', { runId: opened.runId })
  expect(run).toStrictEqual(await kit.kernel.port('events').runs.get(runId))
  expect(events).toStrictEqual(await kit.events(runId))
  expect(written).toStrictEqual({ run, events })
  for (const at of [undefined, 0, ...events.map(({ seq }) => seq), new Date(events[3]!.ts), new Date(0)]) {
    const state = await kit.kernel.state(runId, { at })
    expect(await opened.ask('state', { runId, at })).toStrictEqual(state)
  }
  await opened.close()
})

test('an unknown run cannot be exported', async () => {
  await using kit = await createTestKernel()
  await expect(kit.kernel.exportRun('nobody', join(folder, 'x.jsonl'))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
})

test('a file of a run with tags is found by them', async () => {
  const { kit, runId, file } = await recorded()
  await using _kit = kit
  const { run, events } = await kit.kernel.exportRun(runId, file)
  await writeFile(file, formatHistory({ run: { ...run, tags: ['red', 'big'] }, events }))
  const opened = await openHistory(file, dev, folder)
  expect(await opened.ask('runs', { tag: 'big' })).toMatchObject([{ runId, tags: ['red', 'big'] }])
  expect(await opened.ask('runs', { tag: 'blue' })).toEqual([])
  await opened.close()
})

test('a file of an older version is upcast', async () => {
  const { kit, runId, file } = await recorded()
  await using _kit = kit
  await kit.kernel.exportRun(runId, file)
  const upcast = {
    'state.set': (event: StoredEvent) => {
      const { key, value } = event.data as { key: string; value: unknown }
      return { ...event, data: { key: `old ${key}`, value } }
    },
    'state.delete': () => undefined,
  }
  const opened = await openHistory(file, dev, folder, { upcast })
  const state = await opened.ask('state', { runId })
  expect(Object.keys(state)).toEqual(['old when', 'old big', 'old bytes', 'old tag'])
  expect(await opened.ask('run', { runId })).toMatchObject({ events: await kit.events(runId) })
  await opened.close()
})

test.each([
  ['that is empty', () => [], /:1 should hold a run/],
  ['of something else', () => ['{"hello":1}'], /:1 should hold a run/],
  [
    'with a torn line',
    (lines: string[]) => [...lines.slice(0, -1), lines.at(-1)!.slice(0, 20)],
    /:8 should hold one JSON/,
  ],
  ['that lacks its end', (lines: string[]) => lines.slice(0, -1), /should hold 7 events after the first line/],
  ['that lacks an event', (lines: string[]) => lines.toSpliced(2, 1), /:3 should hold the event with "seq" 2/],
])('a file %s is refused with the line', async (_what, damage, message) => {
  const { kit, runId, file } = await recorded()
  await using _kit = kit
  await kit.kernel.exportRun(runId, file)
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  await writeFile(file, damage(lines).join('\n'))
  const refused = { code: 'HISTORY_INVALID', message: expect.stringMatching(message) as string }
  await expect(openHistory(file, dev, folder)).rejects.toMatchObject(refused)
})
