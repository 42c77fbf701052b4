import { isDeepStrictEqual } from 'node:util'
import { QueueError, type RunContext } from '../../../kernel/index.ts'
import type { CallHost } from './ask.ts'

/** How often `update` tries before it fails. The same number applies in the process of the application. */
const MAX_TRIES = 1000

interface ReadResult {
  value: unknown
  token: number
}

/** Creates `ctx.state` for a child process. Each call goes to the host. */
export function createRemoteState(ask: CallHost): RunContext['state'] {
  const read = (key: string): Promise<ReadResult> => ask('ctx.state.read', { key }) as Promise<ReadResult>
  const swap = async (key: string, token: number, value: unknown): Promise<{ swapped: boolean; value?: unknown }> =>
    (await ask('ctx.state.swap', { key, token, value })) as { swapped: boolean; value?: unknown }

  async function update(key: string, change: (value: unknown) => unknown): Promise<unknown> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { value, token } = await read(key)
      const { swapped, value: stored } = await swap(key, token, await change(value))
      if (swapped) return stored
    }
    throw new QueueError(
      'EVENTS_CONFLICT',
      `State "${key}" was changed ${MAX_TRIES} times during an update. Write the key less often.`,
    )
  }

  async function compareAndSet(key: string, expected: unknown, value: unknown): Promise<boolean> {
    for (;;) {
      const seen = await read(key)
      if (!isDeepStrictEqual(seen.value, expected)) return false
      if ((await swap(key, seen.token, value)).swapped) return true
    }
  }

  return {
    get: (key) => ask('ctx.state.get', { key }),
    has: (key) => ask('ctx.state.has', { key }) as Promise<boolean>,
    getAll: () => ask('ctx.state.getAll') as Promise<Record<string, unknown>>,
    set: async (key, value) => void (await ask('ctx.state.set', { key, value })),
    setBatch: async (values) => void (await ask('ctx.state.setBatch', { values })),
    delete: async (key) => void (await ask('ctx.state.delete', { key })),
    update,
    compareAndSet,
  }
}
