import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { QueueError, type EventStore } from '../../../../kernel/index.ts'
import { readMark, writeMark, type StoreState } from '../../../lib/store-mark.ts'
import { exportStore, type CopyableStore } from './export.ts'
import { importStore, isEmptyStore, type ImportReport } from './import.ts'

/** One side of a move. */
export interface MovedStore extends CopyableStore {
  /** Its address, without its password. */
  name: string
  /** The port `events`, for the marks. */
  port: Pick<EventStore, 'append' | 'read'>
  /** Rejects with `STORE_IN_USE` if workers run on the store. */
  assertUnused(): Promise<void>
}

/**
 * Moves everything from a store to an empty one, and marks both. A move that was killed at any moment continues when it is called again.
 * Until the source is marked as moved, `abortMove` makes it usable again.
 *
 * 1. The source is marked as moving. From then on, no process starts with it.
 * 2. If workers run, the mark is taken back, and the move is refused.
 * 3. The target is marked as receiving, and everything is copied and compared.
 * 4. The source is marked as moved, and then the target as ready.
 *
 * A worker announces itself before it looks at the mark a last time, and a move marks the source before it looks for workers, so one of
 * them notices the other.
 *
 * @param options.settle how long a process that starts at the same time has to announce its workers, in milliseconds
 * @returns what was copied, or `undefined` if everything had been moved already
 * @throws QueueError `STORE_IN_USE`, `STORE_NOT_EMPTY`, `STORE_MOVED`, `STORE_DIFFERS`
 */
export async function moveStore(
  source: MovedStore,
  target: MovedStore,
  { settle = 1000 }: { settle?: number } = {},
): Promise<ImportReport | undefined> {
  const begun = await beginMove(source, target, ['moving'])
  if (!begun) return undefined
  const { move, known, isOwn } = begun
  let report: ImportReport | undefined
  if (known?.state !== 'moved') {
    if (!known) await writeMark(source.port, { state: 'moving', move, other: target.name })
    await setTimeout(known ? 0 : settle)
    await Promise.all([source, target].map((store) => store.assertUnused())).catch(async (error: unknown) => {
      if (!known) await writeMark(source.port, { state: 'kept', move, other: target.name })
      throw error
    })
    if (!isOwn) await writeMark(target.port, { state: 'receiving', move, other: source.name })
    report = await importStore(exportStore(source), target)
    await source.assertUnused()
    await writeMark(source.port, { state: 'moved', move, other: target.name })
  }
  await writeMark(target.port, { state: 'ready', move, other: source.name })
  return report
}

/**
 * Checks that a move from one store to the other may begin or continue. `states` are the states of a source that this kind of move continues.
 *
 * @returns the id of the move, the mark of a source that was marked before, and whether the target is marked; `undefined` if the move is
 *   complete
 * @throws QueueError `STORE_MOVED`, `STORE_NOT_EMPTY`
 */
export async function beginMove(source: MovedStore, target: MovedStore, states: readonly StoreState[]) {
  const mark = await readMark(source.port)
  const known = mark && MOVING.has(mark.state) ? mark : undefined
  const continues = known?.other === target.name && (known.state === 'moved' || states.includes(known.state))
  if (known && !continues) throw movedElsewhere(source.name, known.other, known.state)
  const move = known?.move ?? randomUUID()
  const received = await readMark(target.port)
  const isOwn = received?.move === move
  if (received?.state === 'receiving' && !isOwn)
    throw notEmpty(target.name, `a copy of ${received.other} that was not completed`)
  if (!isOwn && !(await isEmptyStore(target))) throw notEmpty(target.name, 'jobs or runs')
  return isOwn && received.state === 'ready' ? undefined : { move, known, isOwn }
}

/** The states of the source of a move that has begun. */
const MOVING: ReadonlySet<StoreState> = new Set<StoreState>(['moving', 'copying', 'draining', 'moved'])

/** Makes the source of a move usable again. @throws QueueError `STORE_MOVED` if the move has been completed */
export async function abortMove(source: MovedStore): Promise<boolean> {
  const mark = await readMark(source.port)
  if (mark?.state === 'moved') throw movedElsewhere(source.name, mark.other, mark.state)
  if (!mark || !MOVING.has(mark.state)) return false
  await writeMark(source.port, { ...mark, state: 'kept' })
  return true
}

function movedElsewhere(name: string, other: string, state: StoreState): QueueError {
  if (state === 'moved')
    return new QueueError('STORE_MOVED', `The store ${name} was moved to ${other}. Move ${other} instead.`)
  const how = state === 'moving' ? '' : ' with --live'
  const hint = `Complete that move${how}, or abort it with --abort.`
  return new QueueError('STORE_MOVED', `The store ${name} is being moved to ${other}. ${hint}`)
}

function notEmpty(name: string, what: string): QueueError {
  const hint = 'Use another schema, prefix or folder, or remove its data.'
  return new QueueError('STORE_NOT_EMPTY', `The store ${name} must be empty; it has ${what}. ${hint}`)
}
