import { QueueError, type EventStore, type PluginKernel, type Unsubscribe } from '../../../kernel/index.ts'
import { readMark, STORE_STREAM, type StoreMark } from '../../lib/store-mark.ts'

/** How often a process that waits for a store looks at its mark, in milliseconds. */
const POLL = 200
/** The longest time limit of a setup. */
const NO_LIMIT = 2 ** 31 - 1

/** @throws QueueError `STORE_MOVED` if the jobs of the store are in another store, or if the store is incomplete */
export async function assertNotMoved(events: EventStore): Promise<void> {
  if (!events.capabilities.durable) return
  const mark = await readMark(events)
  if (mark && !isUsable(mark)) throw moved(mark)
}

/** Waits until everything has been copied to the store. @throws QueueError `STORE_MOVED` if its jobs are in another store */
export async function waitUntilReady(kernel: PluginKernel): Promise<void> {
  const events = kernel.port('events')
  if (!events.capabilities.durable) return
  for (let waits = false; ; waits = true) {
    const mark = await readMark(events)
    if (!mark || isUsable(mark)) return
    if (mark.state !== 'receiving') throw moved(mark)
    if (!waits) {
      kernel.extendSetup(NO_LIMIT)
      kernel.reporter.warn(`This process waits until "nuxt-queue migrate" has copied everything from ${mark.other}.`)
    }
    await new Promise<void>((resolve) => void kernel.clock.setTimeout(resolve, POLL))
  }
}

/** Calls back when the processes that use this store have to leave it. */
export function watchMove(events: EventStore, leave: () => void): Unsubscribe | Promise<Unsubscribe> {
  return events.subscribe(STORE_STREAM, {}, (marks) => {
    if (marks.some(({ type }) => type === 'store.draining' || type === 'store.moved')) leave()
  })
}

function isUsable({ state }: StoreMark): boolean {
  return state === 'kept' || state === 'ready' || state === 'copying'
}

function moved({ state, other }: StoreMark): QueueError {
  const moving = `The jobs and runs of this store are being moved to ${other}. Start this process with the new store when "nuxt-queue migrate" has ended.`
  const message =
    state === 'moved'
      ? `The jobs and runs of this store were moved to ${other}. Point the configuration of this process to it.`
      : state === 'receiving'
        ? `This store is incomplete: "nuxt-queue migrate" has not copied everything from ${other} yet. Run the command again, or use ${other}.`
        : moving
  return new QueueError('STORE_MOVED', message, { details: { state, store: other } })
}
