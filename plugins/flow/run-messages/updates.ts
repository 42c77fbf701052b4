import {
  checkKeys,
  checkText,
  fitText,
  QueueError,
  type EventDraft,
  type PluginKernel,
  type WorkerDefinition,
} from '../../../kernel/index.ts'
import type { FlowAccess, RunPosition } from '../lib/flow-access.ts'
import { keyedMutex } from '../../lib/keyed-mutex.ts'
import { parse } from '../../lib/parse.ts'
import { cloneValue, copyValue } from '../../lib/value.ts'
import { callWithin } from './call.ts'
import { findMessage } from './declared.ts'
import { createEffects, type SentSignal } from './effects.ts'
import type { UpdateDefinition } from './options.ts'
import type { RunStates } from './run-state.ts'

export interface UpdateOptions {
  /** A repeated call with the same id has no effect, and returns the response of the first call. Default: a new id. */
  id?: string
}

/** Data of `flow.updated`. */
interface UpdatedData {
  name: string
  id: string
  input?: unknown
  result?: unknown
  signals?: readonly SentSignal[]
}

interface Call {
  flow: string
  runId: string
  name: string
  id: string
  given: unknown
  input: unknown
  worker: WorkerDefinition
  definition: UpdateDefinition
}

/** How often an update is decided anew before it fails. Each time, another write to the run has succeeded. */
const MAX_TRIES = 1000

/** Returns the key of the event of an update. */
export const updateKey = (id: string): string => fitText(`flow.update:${id}`)

/**
 * Decides updates in this process. An update is one append, which takes effect only if the run has not changed since its state was read:
 *
 * ```
 *   read the position and the state ◀──────────────────────────┐
 *          │ no event with the key of the update               │ the run has changed
 *          ▼                                                   │
 *   validate ──▶ handler ──▶ append flow.updated, state.batch, emit
 *      │            │                                          │ stored
 *      ▼            ▼                                          ▼
 *   refused       failed                    steps start, signals are sent, the response is returned
 * ```
 *
 * A process that dies before the append leaves nothing. After it, the event holds the response, and a job repeats what follows.
 */
export function createUpdates(
  kernel: PluginKernel,
  flows: FlowAccess,
  { states, timeout }: { states: RunStates; timeout: number },
) {
  const runExclusive = keyedMutex()

  async function update(
    flow: string,
    runId: string,
    name: string,
    input?: unknown,
    options: UpdateOptions = {},
  ): Promise<unknown> {
    const { worker, definition } = findMessage(flows, 'updates', flow, name)
    checkKeys(`Update "${name}"`, options, ['id'])
    const { id = kernel.newId() } = options
    checkText(`Option "id" of update "${name}"`, id)
    const what = `input of update "${name}"`
    const given = copyValue(input, kernel.config.payloadLimit, what)
    const parsed = definition.input ? await parse(definition.input, cloneValue(given), what) : given
    const call: Call = { flow, runId, name, id, given, input: parsed, worker, definition }
    let result: unknown
    await runExclusive(runId, async () => void (result = await decide(call)))
    return result
  }

  async function decide(call: Call): Promise<unknown> {
    const { flow, runId, name, id } = call
    let announced = false
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const position = await flows.open(flow, runId)
      const before = await stored(runId, id)
      if (before) return responseOf(call, before)
      assertRunning(call, position)
      const { effects, result } = await compute(call, position)
      const data: UpdatedData = {
        name,
        id,
        ...(call.given !== undefined && { input: call.given }),
        ...(result !== undefined && { result }),
        ...(effects.signals.length > 0 && { signals: effects.signals }),
      }
      const events: EventDraft[] = [{ type: 'flow.updated', key: updateKey(id), flow, data }, ...effects.events]
      if (effects.followsUp && !announced) await flows.followUp(runId, updateKey(id))
      announced ||= effects.followsUp
      const appended = await kernel.emit(runId, events, { unless: updateKey(id), expectedSeq: position.seq })
      if (!appended.ok) continue
      await sendSignals(runId, data).catch((error: unknown) => {
        kernel.reporter.warn(`Signals of update "${id}" of run ${runId} could not be sent. A job retries it.`, error)
      })
      return cloneValue(result)
    }
    const message = `Run ${runId} changed ${MAX_TRIES} times while update "${name}" was decided. Write to the run less often.`
    throw new QueueError('EVENTS_CONFLICT', message)
  }

  /** Calls the validator and the handler. Neither has changed anything when it returns. */
  async function compute(call: Call, { entry }: RunPosition) {
    const { flow, runId, name, id, worker, definition } = call
    const state = await states.read(worker, runId)
    const effects = createEffects(kernel, flows, { flow, id, entry, schema: states.schemaOf(worker), state })
    const check = { flow, runId, id, state, input: cloneValue(call.input) }
    const limits = { timeout, code: 'UPDATE_FAILED' as const }
    const what = `update "${name}" of flow "${flow}"`
    // The validator gets its own copies, so that it cannot change what the handler sees.
    const own = { ...check, state: cloneValue(state), input: cloneValue(call.input) }
    const verdict = await callWithin(kernel, { what: `The validator of ${what}`, ...limits }, () =>
      definition.validate?.(own),
    )
    if (verdict === false || typeof verdict === 'string') throw refused(what, verdict)
    try {
      const result = await callWithin(kernel, { what: `The handler of ${what}`, ...limits }, async () => {
        const value = await definition.handler({ ...check, ...effects.methods })
        return copyValue(value, kernel.config.payloadLimit, `response of update "${name}"`)
      })
      return { effects, result }
    } finally {
      effects.close()
    }
  }

  async function stored(runId: string, id: string): Promise<UpdatedData | undefined> {
    return (await kernel.port('events').byKey(runId, updateKey(id)))?.data as UpdatedData | undefined
  }

  /** Sends the signals of a stored update. Their ids make a repetition harmless. */
  async function sendSignals(runId: string, { id, signals = [] }: UpdatedData): Promise<void> {
    for (const [index, { name, payload }] of signals.entries()) {
      await kernel.sendEvent(name, payload, { key: fitText(runId), id: fitText(`${runId}.${id}.${index}`) })
    }
  }

  flows.onFollowUp(async (runId, key) => {
    const event = await kernel.port('events').byKey(runId, key)
    if (event?.type === 'flow.updated') await sendSignals(runId, event.data as UpdatedData)
    return { later: event === undefined }
  })

  return update
}

function responseOf({ name, id }: Call, { name: earlier, result }: UpdatedData): unknown {
  if (earlier === name) return cloneValue(result)
  const message = `The id "${id}" belongs to update "${earlier}" of this run, not to "${name}". Use another id.`
  throw new QueueError('OPTION_INVALID', message, { details: { option: 'id' } })
}

/** @throws QueueError `RUN_ENDED` */
function assertRunning({ runId, name }: Call, { status }: RunPosition): void {
  if (status === 'running') return
  const what = status === 'failing' ? 'has a failed step and is about to end' : `is ${status}`
  throw new QueueError('RUN_ENDED', `Run ${runId} ${what}, so it takes no update "${name}".`, { retryable: false })
}

function refused(what: string, verdict: string | false): QueueError {
  const reason = verdict === false ? 'Its validator returned false.' : verdict
  return new QueueError('UPDATE_REFUSED', `The ${what} was refused: ${reason}`, {
    retryable: false,
    details: { reason: verdict || undefined },
  })
}
