import { createHash } from 'node:crypto'
import { QueueError, toError, type Kernel, type StoredEvent, type WorkerDefinition } from '../../../kernel/index.ts'
import { cloneValue } from '../../lib/value.ts'

/** An event in its current form. It keeps the position of the stored event in the stream. */
export type UpcastEvent = Pick<StoredEvent, 'type'> & Partial<StoredEvent>

/**
 * Returns a stored event in the form that the application would write now: one event, several events, or none. It must
 * be pure and synchronous, and receives its own copy. It is called once for each stored event of its type, never for the
 * result of an upcaster. Because it also receives events in their current form, mark them with a version such as `v`.
 *
 * @example
 * (event) => ({ ...event, data: { v: 2, name: event.data.first + ' ' + event.data.last } })
 */
export type Upcast = (event: StoredEvent) => UpcastEvent | readonly UpcastEvent[] | undefined

/** Upcasters by type of event. */
export type UpcastTable = Readonly<Record<string, Upcast>>

export interface Upcasts {
  /** Returns the events in their current form and order. Returns the same list if nothing changes. */
  apply(events: readonly StoredEvent[]): readonly StoredEvent[]
  /** Identifies the set of upcasters and their source code. `''` without upcasters. */
  readonly version: string
}

interface Known {
  workers: number
  newest: WorkerDefinition | undefined
  table: ReadonlyMap<string, Upcast>
  version: string
}

/** Collects the upcasters of the configuration and of the registered workers. */
export function createUpcasts(kernel: Kernel, configured: UpcastTable): Upcasts {
  let known: Known | undefined

  /** A new worker is always the last one, and a removed worker lowers the count, so together they show any change. */
  function current(): Known {
    const { workers } = kernel.registry
    const newest = workers.at(-1)
    if (known?.workers === workers.length && known.newest === newest) return known
    const table = tableOf(workers, configured)
    known = { workers: workers.length, newest, table, version: versionOf(table) }
    return known
  }

  return {
    apply(events) {
      const { table } = current()
      if (table.size === 0 || !events.some(({ type }) => table.has(type))) return events
      return events.flatMap((event) => {
        const upcast = table.get(event.type)
        return upcast ? convert(upcast, event) : [event]
      })
    },
    get version() {
      return current().version
    },
  }
}

/** @throws QueueError `WORKER_INVALID` if an upcaster is not a function, or is declared twice with different code */
function tableOf(workers: readonly WorkerDefinition[], configured: UpcastTable): Map<string, Upcast> {
  const table = new Map(Object.entries(configured))
  for (const { id, worker } of workers) {
    for (const [type, upcast] of Object.entries(worker.upcast ?? {})) {
      const known = table.get(type)
      const differs = known !== undefined && known !== upcast && known.toString() !== upcast.toString()
      const problem =
        typeof upcast !== 'function' ? `is a ${typeof upcast}` : differs ? 'is declared elsewhere as well' : ''
      if (problem) {
        const hint = 'Declare one function for each type of event, in the configuration or in one worker.'
        throw new QueueError('WORKER_INVALID', `Upcaster "${type}" of worker "${id}" ${problem}. ${hint}`)
      }
      table.set(type, upcast)
    }
  }
  return table
}

function versionOf(table: ReadonlyMap<string, Upcast>): string {
  if (table.size === 0) return ''
  const texts = [...table].map(([type, upcast]) => JSON.stringify([type, upcast.toString()])).toSorted()
  return createHash('sha256').update(texts.join()).digest('hex').slice(0, 8)
}

/** @throws QueueError `UPCAST_FAILED` */
function convert(upcast: Upcast, stored: StoredEvent): StoredEvent[] {
  const { seq, id, ts, runId, type } = stored
  const failed = (what: string, cause?: unknown): QueueError =>
    new QueueError('UPCAST_FAILED', `The upcaster of "${type}" ${what}, for event ${id}.`, { cause, details: { id } })
  let result: ReturnType<Upcast>
  try {
    result = upcast({ ...stored, data: cloneValue(stored.data) })
  } catch (error) {
    throw failed(`threw: ${toError(error).message}`, error)
  }
  return [result ?? []].flat().map((event: UpcastEvent) => {
    if (typeof event?.type === 'string') return { ...event, seq, id, ts, runId }
    throw failed('must return an event, a list of events or undefined, and not a promise')
  })
}
