import { QueueError, type EventStore } from '../../../kernel/index.ts'
import { readMark } from '../../lib/store-mark.ts'

/** @throws QueueError `STORE_MOVED` if the jobs of the store are in another store, or if the store is incomplete */
export async function assertNotMoved(events: EventStore): Promise<void> {
  if (!events.capabilities.durable) return
  const mark = await readMark(events)
  if (!mark || mark.state === 'kept' || mark.state === 'ready') return
  const { state, other } = mark
  const message = {
    moved: `The jobs and runs of this store were moved to ${other}. Point the configuration of this process to it.`,
    moving: `The jobs and runs of this store are being moved to ${other}. Start this process with the new store when "nuxt-queue migrate" has ended.`,
    receiving: `This store is incomplete: "nuxt-queue migrate" has not copied everything from ${other} yet. Run the command again, or use ${other}.`,
  }[state]
  throw new QueueError('STORE_MOVED', message, { details: { state, store: other } })
}
