import { setTimeout as sleep } from 'node:timers/promises'
import { QueueError, type EventStore } from '../../../../kernel/index.ts'
import { ENDED } from '../../../adapters/lib/store-copy.ts'
import { writeMark, type StoreMark } from '../../../lib/store-mark.ts'
import { followChanges, type Changes } from './changes.ts'
import { copyEndedOf, copySettings, findPages, storePages } from './copy-jobs.ts'
import { copyQuietStreams, copyStreams } from './copy-streams.ts'
import { OPEN } from './export.ts'
import { beginMove, type MovedStore } from './move.ts'

/** One side of a move while the application runs. */
export interface LiveStore extends MovedStore {
  port: Pick<EventStore, 'append' | 'read' | 'subscribe' | 'trim' | 'forget' | 'runs' | 'capabilities'>
}

export interface LiveMoveOptions {
  /** How long processes without workers have to notice that they must stop, in milliseconds. */
  settle: number
  /** How long processes with workers have to end their running jobs and leave, in milliseconds. */
  drain: number
  /** Called when a phase begins. */
  onPhase?: (phase: LivePhase) => void
}

export type LivePhase = 'copying' | 'draining' | 'moved'

export interface LiveReport {
  /** Milliseconds from the moment at which processes were told to leave until the new store could be used. */
  downtime: number
  /** How many open jobs were moved. */
  open: number
  /** How many jobs were enqueued in the old store after that. They were moved as well. */
  late: number
}

/** A pass that takes less is short enough for the last one to be short as well. */
const SHORT_PASS = 500
/** A pass that takes a larger share of the time of the previous one shows that the application changes as much as is copied. */
const LESS = 0.8
/** Jobs whose creation is this much before the source was left may have been stored later. In milliseconds. */
const LATE = 60_000

/**
 * Moves everything from a store to an empty one while processes use it. A move that was killed at any moment continues when it is called
 * again.
 *
 * 1. The source is marked as copying, and the target as receiving.
 * 2. Everything that has ended or does not change is copied, and then, again and again, what has changed meanwhile.
 * 3. The source is marked as draining. Its processes end their running jobs, refuse new ones, and leave.
 * 4. What has changed last, and all open jobs, are copied and compared.
 * 5. The source is marked as moved, and the target as ready. Processes that wait for the target begin.
 * 6. Jobs that a process has enqueued in the source at the last moment are copied.
 *
 * @returns a report, or `undefined` if everything had been moved already
 * @throws QueueError `STORE_IN_USE` if processes have not left, `STORE_NOT_EMPTY`, `STORE_MOVED`, `STORE_DIFFERS`
 */
export async function moveLive(
  source: LiveStore,
  target: LiveStore,
  { settle, drain, onPhase = () => {} }: LiveMoveOptions,
): Promise<LiveReport | undefined> {
  const begun = await beginMove(source, target, ['copying', 'draining'])
  if (!begun) return undefined
  const { move, known, isOwn } = begun
  const mark = (one: StoreMark['state']): StoreMark => ({ state: one, move, other: target.name })
  const ready = (): Promise<unknown> => writeMark(target.port, { state: 'ready', move, other: source.name })
  if (known?.state === 'moved') {
    // No process uses the target yet, so late jobs can still be copied.
    await copyOpen(source, target, 0)
    await ready()
    return undefined
  }
  assertFollowed(source)
  if (!known) await writeMark(source.port, mark('copying'))
  if (!isOwn) await writeMark(target.port, { state: 'receiving', move, other: source.name })
  const changes = await followChanges(source.port)
  try {
    onPhase('copying')
    await copyAll(source, target, changes)
    await catchUp(source, target, changes)

    onPhase('draining')
    const began = performance.now()
    const leftAt = await changes.mark(mark('draining'))
    await Promise.all([sleep(settle), waitUntilUnused(source, drain)]).catch(async (error: unknown) => {
      await changes.mark(mark('copying'))
      throw error
    })
    await copyLast(source, target, changes, mark('draining'))
    const moved = await copyOpen(source, target, leftAt)
    await copySettings(source.jobs, target.jobs)
    await changes.mark(mark('moved'))
    await ready()
    const downtime = Math.round(performance.now() - began)
    onPhase('moved')

    await sleep(settle)
    const late = await copyLate(source, target, changes, moved.recent, leftAt)
    return { downtime, open: moved.count, late }
  } finally {
    changes.stop()
  }
}

/** Copies all streams, the jobs that have ended, and ids that are remembered. */
async function copyAll(source: LiveStore, target: LiveStore, changes: Changes): Promise<void> {
  for await (const names of source.events.streams()) {
    for (const name of await copyStreams(names, source, target)) changes.add(name)
  }
  await storePages(target.jobs, findPages(source.jobs, { states: ENDED }))
  for await (const ids of source.jobs.remembered()) if (ids.length > 0) await target.jobs.remember(ids)
}

/** Copies what has changed meanwhile, until little is left, or until it does not become less. */
async function catchUp(source: LiveStore, target: LiveStore, changes: Changes): Promise<void> {
  for (let previous = Infinity; ;) {
    const began = performance.now()
    const names = changes.take()
    for (const name of await copyStreams(names, source, target)) changes.add(name)
    await copyEndedOf(names, source.jobs, target.jobs, source.port.runs.get)
    const took = performance.now() - began
    if (took < SHORT_PASS || took > LESS * previous) return
    previous = took
  }
}

/** Copies what has changed until the source was left. */
async function copyLast(source: LiveStore, target: LiveStore, changes: Changes, mark: StoreMark): Promise<void> {
  for (;;) {
    await changes.mark(mark)
    const names = changes.take()
    if (names.length === 0) return
    await copyQuietStreams(names, source, target)
    await copyEndedOf(names, source.jobs, target.jobs, source.port.runs.get)
  }
}

/** Copies the open jobs. Returns their number, and the ids of recent ones. */
async function copyOpen(source: LiveStore, target: LiveStore, leftAt: number) {
  const recent = new Set<string>()
  let count = 0
  for (const queue of await source.jobs.queues()) {
    await storePages(target.jobs, source.jobs.jobs(queue, OPEN), (jobs) => {
      count += jobs.length
      for (const { id, createdAt } of jobs) if (createdAt > leftAt - LATE) recent.add(`${queue}\0${id}`)
    })
  }
  return { recent, count }
}

/** Copies jobs that were enqueued after the open jobs had been copied. Returns their number. */
async function copyLate(
  source: LiveStore,
  target: LiveStore,
  changes: Changes,
  moved: ReadonlySet<string>,
  leftAt: number,
): Promise<number> {
  // The target is in use, so streams that it has go on there.
  const names = changes.take()
  const known = await Promise.all(names.map((name) => target.events.end(name)))
  await copyStreams(
    names.filter((_name, index) => !known[index]),
    source,
    target,
  )
  let late = 0
  const open = { states: ['waiting', 'delayed', 'active'], createdAfter: leftAt - LATE } as const
  for await (const jobs of findPages(source.jobs, open)) {
    const unknown = jobs.filter(({ queue, id }) => !moved.has(`${queue}\0${id}`))
    if (unknown.length > 0) await target.jobs.write(unknown.toReversed())
    late += unknown.length
  }
  return late
}

function assertFollowed({ name, port: { capabilities } }: LiveStore): void {
  if (capabilities.shared && capabilities.globalCursor) return
  const hint = 'Stop the application, and move the store without --live.'
  throw new QueueError('OPTION_UNSUPPORTED', `The store ${name} belongs to one process, or cannot be followed. ${hint}`)
}

async function waitUntilUnused(store: LiveStore, timeout: number): Promise<void> {
  const until = performance.now() + timeout
  for (;;) {
    try {
      return await store.assertUnused()
    } catch (error) {
      if (performance.now() >= until || !(error instanceof QueueError)) throw error
      await sleep(100)
    }
  }
}
