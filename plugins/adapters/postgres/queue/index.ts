import { definePlugin } from '../../../../kernel/index.ts'
import { migrate } from '../lib/migrate.ts'
import { quoteName } from '../lib/postgres.ts'
import { createWorkerManager } from '../../lib/worker-manager.ts'
import { startBoss } from './boss.ts'
import { createArrivals } from './arrivals.ts'
import { createPostgresJobCopies } from './copies.ts'
import { createConsumer, type ConsumerHost, type QueueConsumer } from './consumer.ts'
import { createPostgresLimits } from './limits.ts'
import { encodeQueue } from './names.ts'
import { createPostgresQueues } from './provider.ts'
import { queueVersions } from './schema.ts'
import { createListeners } from '../../lib/listeners.ts'
import { createUpkeep } from './upkeep.ts'

/** How long a claimed job waits for its worker before it returns to the queue for other processes, in milliseconds. */
const MAX_WAIT = 1000

/** Provides queues, consumers and limits on pg-boss. It uses the connection of the plugin `postgres` or `pglite`. */
export default definePlugin({
  name: 'queue-postgres',
  requires: ['postgres'],
  async setup(kernel) {
    const db = kernel.port('postgres')
    const boss = await startBoss(db)
    await migrate(db, 'queue', queueVersions(db.schema, boss.channel))
    const listeners = createListeners(kernel.reporter)
    const arrivals = createArrivals(listeners, kernel.clock)
    const consumers = new Set<QueueConsumer>()
    const upkeep = createUpkeep(db, consumers)

    const wakeAll = (): void => {
      for (const consumer of consumers) consumer.wake()
    }
    const unlisten = await db.listen(
      boss.channel,
      (name) => {
        for (const consumer of consumers) if (consumer.name === name) consumer.wake()
      },
      wakeAll,
    )

    const announce = (name: string): Promise<unknown> =>
      db.query('SELECT pg_notify($1, $2)', [boss.channel, name], { repeatable: true })
    const setProgress = `UPDATE ${quoteName(db.schema)}.job j SET trace_context =
        jsonb_set(coalesce(j.trace_context, '{}'), '{nq}', coalesce(j.trace_context -> 'nq', '{}') || jsonb_build_object('g', $4::float8))
      WHERE j.name = $1 AND j.id = $2 AND j.state = 'active' AND j.retry_count = $3`
    const countLapse = `UPDATE ${quoteName(db.schema)}.job j SET trace_context = jsonb_set(j.trace_context, '{nq}',
        (j.trace_context -> 'nq') || jsonb_build_object(
          'c', (j.trace_context #>> '{nq,c}')::int - 1, 'y', coalesce((j.trace_context #>> '{nq,y}')::int, 0) + 1))
      WHERE j.name = $1 AND j.id = $2 AND (j.trace_context #>> '{nq,c}')::int > 0`
    const host: ConsumerHost = {
      db,
      clock: kernel.clock,
      listeners,
      arrivals,
      async progress(name, { key: uuid, count }, record, value) {
        await db.query(setProgress, [name, uuid, count, value], { repeatable: true })
        record.progress = value
        listeners.emit('progress', record.queue, () => ({ ...record }))
      },
      lapsed(queue, { key: uuid }) {
        const failed = (error: unknown): void =>
          kernel.reporter.warn(
            `An expired lease of queue "${queue}" was counted as a crash and could not be corrected.`,
            error,
          )
        db.query(countLapse, [encodeQueue(queue), uuid]).catch(failed)
      },
      announce,
      onClose: (consumer) => void consumers.delete(consumer),
    }

    const provider = createPostgresQueues({
      kernel,
      db,
      boss,
      listeners,
      arrivals,
      announce,
      consumed: () => [...consumers].map(({ name }) => name),
    })
    kernel.provide('queue', provider)
    kernel.provide('jobCopies', createPostgresJobCopies({ db, boss, provider, clock: kernel.clock, announce }))
    kernel.provide('limits', createPostgresLimits(db))
    kernel.provide(
      'workers',
      createWorkerManager(
        async (queue, processor, concurrency) => {
          await boss.ensureQueue(queue)
          const consumer = createConsumer(queue, processor, concurrency, host)
          consumers.add(consumer)
          return consumer
        },
        { kernel, maxWait: MAX_WAIT },
      ),
    )
    upkeep.start()
    return async () => {
      upkeep.stop()
      await Promise.all([...consumers].map((consumer) => consumer.stop()))
      await provider.close()
      await unlisten()
      await boss.stop()
    }
  },
})
