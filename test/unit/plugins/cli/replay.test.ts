import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { openHistory } from '../../../../plugins/integrations/cli/history.ts'
import { stepThrough, type ReplayFilter } from '../../../../plugins/integrations/cli/replay.ts'
import { dev } from '../../../../presets/index.ts'
import { createTestKernel } from '../../../../testing/index.ts'

const RIGHT = '\u001b[C'
const LEFT = '\u001b[D'
const HOME = '\u001b[H'
const END = '\u001b[F'

/** Returns each screen of a run of five events while keys are pressed. */
async function screens(keys: readonly string[], filter: ReplayFilter = {}): Promise<string[]> {
  await using kit = await createTestKernel({
    workers: {
      count: async (_job, ctx) => {
        for (const n of [1, 2, 3]) await ctx.state.set('n', n)
      },
    },
  })
  const { runId } = await kit.kernel.enqueue('count')
  await kit.drain()
  const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-'))
  try {
    const file = join(folder, 'run.jsonl')
    await kit.kernel.exportRun(runId, file)
    const opened = await openHistory(file, dev, folder)
    const [input, output] = [new PassThrough(), new PassThrough()]
    for (const key of keys) input.write(key)
    input.end()
    await stepThrough(opened.recording, filter, { input, output })
    await opened.close()
    const text = stripVTControlCharacters(String(output.read()))
    return text.split('\n\n').slice(1)
  } finally {
    await rm(folder, { recursive: true })
  }
}

const states = (shown: readonly string[]): (string | undefined)[] => shown.map((text) => text.split('\n')[1]?.trim())

test('steps through events with the state after each, forwards and back', async () => {
  const shown = await screens([RIGHT, ' ', '\r', LEFT, END, RIGHT, HOME, LEFT, 'x', 'q', RIGHT])
  expect(shown[0]).toMatch(/^ +1 .* count +started\n +\{\}\n +1 of 5 /)
  expect(shown[1]).toMatch(/^ +2 .* state\.set/)
  const walked = ['{}', '{ n: 1 }', '{ n: 2 }', '{ n: 3 }', '{ n: 2 }', '{ n: 3 }', '{}']
  expect(states(shown)).toEqual(walked)
})

test('shows the requested events', async () => {
  const shown = await screens([END], { types: ['state.set'], to: 3 })
  expect(states(shown)).toEqual(['{ n: 1 }', '{ n: 2 }'])
  expect(await screens([], { types: ['nothing'] })).toEqual([])
})
