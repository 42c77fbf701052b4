import { createHash } from 'node:crypto'
import { QueueError, toError, type Kernel, type StoredEvent, type WorkerDefinition } from '../../../kernel/index.ts'
import { cloneValue } from '../../lib/value.ts'

/** An event as of today. Its place in the stream stays that of the stored one. */
export type UpcastEvent = Pick<StoredEvent, 'type'> & Partial<StoredEvent>

/**
 * Answers a stored event as the application would write it today: another one, several, or none. Pure and
 * synchronous; what it is given is its own copy. Called once for each stored event of its type, never for
 * what upcasters answer, so that it has to take events of today as well: tell them by a `v` in their data.
 *
 * @example
 * (event) => ({ ...event, data: { v: 2, name: event.data.first + ' ' + event.data.last } })
 */
export type Upcast = (event: StoredEvent) => UpcastEvent | readonly UpcastEvent[] | undefined

export type UpcastTable = Readonly<Record<string, Upcast>>

export interface Upcasts {
  /** The events as of today, in their order. The same list when there is nothing to change. */
  apply(events: readonly StoredEvent[]): readonly StoredEvent[]
  /** Another one for each set of upcasters, and each text of them; `''` when there are none. */
  readonly version: string
}

interface Known {
  workers: number
  newest: WorkerDefinition | undefined
  table: ReadonlyMap<string, Upcast>
  version: string
}

/** Those of the configuration, and of the workers as they are registered now. */
export function createUpcasts(kernel: Kernel, configured: UpcastTable): Upcasts {
  let known: Known | undefined

  /** Whoever is added stands last, and whoever goes makes them fewer. */
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
        return upcast ? today(upcast, event) : [event]
      })
    },
    get version() {
      return current().version
    },
  }
}

/** @throws QueueError `WORKER_INVALID` for what is not a function, or is declared twice in different ways */
function tableOf(workers: readonly WorkerDefinition[], configured: UpcastTable): Map<string, Upcast> {
  const table = new Map(Object.entries(configured))
  for (const { id, worker } of workers) {
    for (const [type, upcast] of Object.entries(worker.upcast ?? {})) {
      const there = table.get(type)
      const other = there !== undefined && there !== upcast && there.toString() !== upcast.toString()
      const wrong =
        typeof upcast !== 'function' ? `is a ${typeof upcast}` : other ? 'is declared elsewhere as well' : ''
      if (wrong) {
        const hint = 'It is one function for each type of event, in the configuration or in one worker.'
        throw new QueueError('WORKER_INVALID', `Upcaster "${type}" of worker "${id}" ${wrong}. ${hint}`)
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
function today(upcast: Upcast, stored: StoredEvent): StoredEvent[] {
  const { seq, id, ts, runId, type } = stored
  const failed = (what: string, cause?: unknown): QueueError =>
    new QueueError('UPCAST_FAILED', `The upcaster of "${type}" ${what}, for event ${id}.`, { cause, details: { id } })
  let answer: ReturnType<Upcast>
  try {
    answer = upcast({ ...stored, data: cloneValue(stored.data) })
  } catch (error) {
    throw failed(`threw: ${toError(error).message}`, error)
  }
  return [answer ?? []].flat().map((event: UpcastEvent) => {
    if (typeof event?.type === 'string') return { ...event, seq, id, ts, runId }
    throw failed('has to answer an event, a list of them or undefined, and not a promise')
  })
}
