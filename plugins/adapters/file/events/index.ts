import { definePlugin, type EventStore, type MaybePromise } from '../../../../kernel/index.ts'
import type { JournalLine } from '../../lib/folder/disk.ts'
import type { Journal } from '../../lib/folder/journal.ts'
import { createLocalEvents } from '../../lib/local-events/store.ts'
import { createReader, linesOf, snapshotLines } from './lines.ts'

const HEADER = { journal: 'nuxt-queue/events', version: 1 }

/** Events in the memory of this process, and in one journal on disk, from which they are built again. */
export default definePlugin({
  name: 'events-file',
  requires: ['file'],
  setup(kernel) {
    const { store, streams, restore } = createLocalEvents(kernel, {
      durable: true,
      journal: {
        appended: (stream, change) => journal.append(linesOf.change(stream, change)),
        snapshot: (stream, snapshot) => journal.append(linesOf.snapshot(stream, snapshot)),
        trimmed: (stream, seq) => journal.append({ stream, trimmed: seq }, 2),
        expired: (names, events) => journal.append({ expired: names }, events + 1),
      },
    })
    const snapshot = function* (): Generator<JournalLine> {
      for (const stream of [...streams()]) yield* snapshotLines(stream)
    }
    const journal: Journal = kernel.port('file').open('events', { header: HEADER, snapshot }, createReader(restore))
    restore.done()
    kernel.provide('events', durable(store, journal))
    return async () => {
      await store.close()
      await journal.close()
    }
  },
})

/**
 * Answers a caller only when what it has changed is on disk, as far as the fsync policy goes. A refusal
 * too: what it rests on may not be there yet.
 */
function durable(store: EventStore, journal: Journal): EventStore {
  function kept<T>(answer: MaybePromise<T>): MaybePromise<T> {
    return journal.synced()?.then(() => answer) ?? answer
  }
  return {
    ...store,
    append: (stream, events, options) => kept(store.append(stream, events, options)),
    snapshots: { ...store.snapshots, put: (stream, snapshot) => kept(store.snapshots.put(stream, snapshot)) },
    trim: (stream, seq) => kept(store.trim(stream, seq)),
    expire: (policy) => kept(store.expire(policy)),
    forget: (heads) => kept(store.forget(heads)),
  }
}
