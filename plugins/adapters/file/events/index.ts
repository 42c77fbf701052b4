import { definePlugin, type EventStore, type MaybePromise } from '../../../../kernel/index.ts'
import type { JournalLine } from '../../lib/folder/disk.ts'
import type { Journal } from '../../lib/folder/journal.ts'
import { createLocalEvents } from '../../lib/local-events/store.ts'
import { createReader, linesOf, snapshotLines } from './lines.ts'

const HEADER = { journal: 'nuxt-queue/events', version: 1 }

/** Keeps events in the memory of this process and in one journal on disk. The next process restores them from the journal. */
export default definePlugin({
  name: 'events-file',
  requires: ['file'],
  setup(kernel) {
    const { store, copies, streams, restore } = createLocalEvents(kernel, {
      durable: true,
      journal: {
        appended: (stream, change) => journal.append(linesOf.change(stream, change)),
        synced: () => journal.synced(),
        snapshot: (stream, snapshot) => journal.append(linesOf.snapshot(stream, snapshot)),
        trimmed: (stream, seq) => journal.append({ stream, trimmed: seq }, 2),
        expired: (names, events) => journal.append({ expired: names }, events + 1),
        copied(stream) {
          for (const line of snapshotLines(stream)) journal.append(line)
        },
      },
    })
    const snapshot = function* (): Generator<JournalLine> {
      for (const stream of [...streams()]) yield* snapshotLines(stream)
    }
    const journal: Journal = kernel.port('file').open('events', { header: HEADER, snapshot }, createReader(restore))
    restore.done()
    kernel.provide('events', durable(store, journal))
    kernel.provide('eventCopies', {
      ...copies,
      async write(parts) {
        await copies.write(parts)
        await journal.synced()
      },
    })
    return async () => {
      await store.close()
      await journal.close()
    }
  },
})

/**
 * Wraps a store so that a call returns only when its change is as safe as `fsync` demands. A rejected append waits as
 * well, because the event that caused the rejection may not be on disk yet.
 */
function durable(store: EventStore, journal: Journal): EventStore {
  function afterSync<T>(result: MaybePromise<T>): MaybePromise<T> {
    return journal.synced()?.then(() => result) ?? result
  }
  return {
    ...store,
    append: (stream, events, options) => afterSync(store.append(stream, events, options)),
    snapshots: { ...store.snapshots, put: (stream, snapshot) => afterSync(store.snapshots.put(stream, snapshot)) },
    trim: (stream, seq) => afterSync(store.trim(stream, seq)),
    expire: (policy) => afterSync(store.expire(policy)),
    forget: (heads) => afterSync(store.forget(heads)),
  }
}
