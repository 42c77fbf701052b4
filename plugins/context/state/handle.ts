import { isDeepStrictEqual } from 'node:util'
import { QueueError, refusal, type AppendOptions, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import type { Projection } from '../../lib/projection.ts'
import { cloneValue } from '../../lib/value.ts'
import type { RunState } from './api.ts'
import type { StateSchema } from '../lib/state-schema.ts'

type State = Record<string, unknown>

/** How often `update` tries before it fails. Each failed try means that another write succeeded. */
const MAX_TRIES = 1000

/** Creates `ctx.state` for one attempt. Its writes carry the fence of the attempt. */
export function createStateHandle(
  kernel: PluginKernel,
  ctx: RunContext,
  projection: Projection<State>,
  schema: StateSchema,
): RunState {
  const { runId, job } = ctx
  const current = async (): Promise<State> => (await projection.current(runId)).state

  async function write(type: string, data: unknown, options?: AppendOptions): Promise<boolean> {
    const event = { type, data, flow: job.flow?.name, step: job.flow?.step ?? job.name, stepId: job.id }
    const result = await kernel.append(ctx, [event], options)
    if (result.ok) return true
    if (result.reason === 'expectedSeq') return false
    throw refusal(result.reason, job)
  }

  async function update(key: string, change: (value: unknown) => unknown): Promise<unknown> {
    let seen: { value: unknown } | undefined
    let next: unknown
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { seq, state } = await projection.current(runId)
      const value = state[key]
      if (!seen || seen.value !== value) {
        seen = { value }
        const copy = key in state ? cloneValue(value) : schema.initial(key)
        next = schema.parse(key, await change(copy))
        if ((await projection.current(runId)).state[key] !== value) continue
      }
      if (await write('state.set', { key, value: next }, { expectedSeq: seq })) return cloneValue(next)
    }
    throw conflict(key)
  }

  async function compareAndSet(key: string, expected: unknown, value: unknown): Promise<boolean> {
    const next = schema.parse(key, value)
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { seq, state } = await projection.current(runId)
      if (!isDeepStrictEqual(key in state ? state[key] : schema.initial(key), expected)) return false
      if (await write('state.set', { key, value: next }, { expectedSeq: seq })) return true
    }
    throw conflict(key)
  }

  const conflict = (key: string): QueueError =>
    new QueueError(
      'EVENTS_CONFLICT',
      `State "${key}" of run ${runId} was changed ${MAX_TRIES} times during an update. Write the key less often.`,
    )

  const handle: RunState = {
    async get(key) {
      const state = await current()
      return key in state ? cloneValue(state[key]) : schema.initial(key)
    },
    has: async (key) => key in (await current()),
    getAll: async () => cloneValue({ ...(await current()) }),
    async set(key, value) {
      await write('state.set', { key, value: schema.parse(key, value) })
    },
    async setBatch(values) {
      const changes = Object.entries(values).map(([key, value]) => ({ key, value: schema.parse(key, value) }))
      if (changes.length > 0) await write('state.batch', { changes })
    },
    async delete(key) {
      await write('state.delete', { key })
    },
    update,
    compareAndSet,
  }
  return tracked(ctx, handle)
}

/** Makes the completion of the job wait for writes that the handler does not await. */
function tracked(ctx: RunContext, handle: RunState): RunState {
  const { set, setBatch, delete: remove, update, compareAndSet, ...reads } = handle
  return {
    ...reads,
    set: (key, value) => ctx.track(set(key, value)),
    setBatch: (values) => ctx.track(setBatch(values)),
    delete: (key) => ctx.track(remove(key)),
    update: (key, change) => ctx.track(update(key, change)),
    compareAndSet: (key, expected, value) => ctx.track(compareAndSet(key, expected, value)),
  }
}
