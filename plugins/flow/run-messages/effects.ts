import { assertFree, checkText, QueueError, type EventDraft, type Kernel } from '../../../kernel/index.ts'
import type { FlowAccess, RunPosition } from '../lib/flow-access.ts'
import type { StateSchema } from '../../context/lib/state-schema.ts'
import { cloneValue, copyValue } from '../../lib/value.ts'
import type { UpdateContext } from './options.ts'

/** A signal that an update sends once it is stored. */
export interface SentSignal {
  name: string
  payload?: unknown
}

interface Origin {
  flow: string
  /** The id of the update. */
  id: string
  entry: RunPosition['entry']
  schema: StateSchema
  state: Record<string, unknown>
}

/** Collects what the handler of an update changes. Nothing is stored until the handler has returned. */
export function createEffects(kernel: Kernel, flows: FlowAccess, { flow, id, entry, schema, state }: Origin) {
  const changes: { key: string; value: unknown }[] = []
  const emits: EventDraft[] = []
  const signals: SentSignal[] = []
  let closed = false
  const copy = (value: unknown, what: string): unknown => copyValue(value, kernel.config.payloadLimit, what)

  function assertOpen(): void {
    if (!closed) return
    const message = `The handler of update "${id}" has ended. Await everything it starts before it returns.`
    throw new QueueError('UPDATE_FAILED', message)
  }

  const methods: Pick<UpdateContext, 'set' | 'emit' | 'signal'> = {
    set(values) {
      assertOpen()
      for (const [key, value] of Object.entries(values)) {
        const parsed = copy(schema.parse(key, value), `state "${key}"`)
        changes.push({ key, value: parsed })
        state[key] = cloneValue(parsed)
      }
    },
    emit(event, payload) {
      assertOpen()
      flows.assertStarts(flow, event)
      const n = `update.${id}.${emits.length}`
      const data = { event, payload: copy(payload, `payload of event "${event}"`), n }
      // The key keeps the emit in forks, also if the entry runs again there.
      emits.push({ type: 'emit', key: `emit:${entry.stepId}:${n}`, data, flow, ...entry })
    },
    signal(name, payload) {
      assertOpen()
      checkText('The name of a signal', name)
      assertFree('event', name)
      signals.push({ name, payload: copy(payload, `payload of signal "${name}"`) })
    },
  }

  return {
    methods,
    signals,
    /** Whether something has to happen after the write. */
    get followsUp() {
      return emits.length > 0 || signals.length > 0
    },
    /** Returns the events to store with the update. */
    get events(): EventDraft[] {
      return [...(changes.length > 0 ? [{ type: 'state.batch', data: { changes }, flow }] : []), ...emits]
    },
    /** Refuses further changes. */
    close: () => void (closed = true),
  }
}
