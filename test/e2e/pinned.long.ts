// Two real processes with different versions of a flow. `npm test` has two instances in one process.
import { fileURLToPath } from 'node:url'
import { createKernel } from 'nuxt-queue'
import { expect, it } from 'vitest'
import { ROOT, startNode, type Running } from './processes.ts'
import { SHARED_STORES } from './shared-stores.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/pinned-process.ts', import.meta.url))
const RUNS = Array.from({ length: 12 }, (_, number) => `run-${number}`)

it.each(SHARED_STORES.flatMap(([preset, store]) => [true, false].map((lives) => [preset, lives, store] as const)))(
  'on %s, runs stay on the version of their flow while a process with that version lives (%s), and then move on',
  async (preset, lives, createConfig) => {
    const config = await createConfig()
    // This process has no worker. It looks at the runs of the others.
    const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, ...config } })
    const begin = async (version: string, runs: string[]): Promise<Running> => {
      const running = startNode([PROCESS, JSON.stringify({ preset, config, version, runs })], ROOT)
      await running.until(/runs/)
      return running
    }
    const states = async (): Promise<object[]> => Promise.all(RUNS.map((id) => kernel.state(id)))
    const all = (state: object): object[] => RUNS.map(() => state)
    try {
      await kernel.queue('second').pause()
      await using old = await begin('1', RUNS)
      await expect.poll(states).toEqual(all({ first: '1' }))
      await using _fresh = await begin('2', [])
      if (!lives) old.kill('SIGKILL')
      await kernel.queue('second').resume()
      await expect.poll(states).toEqual(all({ first: '1', second: lives ? '1' : '2' }))
    } finally {
      await kernel.close()
    }
  },
)
