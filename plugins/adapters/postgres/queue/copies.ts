import type { Clock, JobRecord, QueueProvider } from '../../../../kernel/index.ts'
import { fairShareOf } from '../../lib/fair-share.ts'
import { queueCalls, type CopiedQueue, type JobCopies } from '../../lib/store-copy.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import type { Boss } from './boss.ts'
import { createFairQueues } from './fair-queues.ts'
import { createJobReader } from './job-lister.ts'
import { decodeQueue, encodeQueue, isInternalQueue, jobUuid } from './names.ts'
import { checkStorableDraft, encodeJob, encodeJsonb, encodeOutput, type Envelope } from './record.ts'
import { copyJobsStatement, REMEMBER_IDS } from './sql-copies.ts'

const REPEATABLE = { repeatable: true }
/** How many ids one page contains. */
const PAGE = 500

interface Host {
  db: PostgresPort
  boss: Boss
  provider: CopiedQueue & Pick<QueueProvider, 'getQueues'>
  clock: Clock
  /** Notifies all instances that a queue, by its name in pg-boss, may have jobs. */
  announce(name: string): Promise<unknown>
}

/** Creates the port `jobCopies`. */
export function createPostgresJobCopies({ db, boss, provider, clock, announce }: Host): JobCopies {
  const s = quoteName(db.schema)
  const copy = copyJobsStatement(s)
  const fair = createFairQueues(db)
  /** The last moment from which a job of a queue could run, and how many jobs had it. The jobs of a moment keep their order. */
  const places = new Map<string, { since: number; count: number }>()

  function placeOf({ queue, runAt, createdAt }: JobRecord): number {
    const since = Math.max(runAt, createdAt)
    const last = places.get(queue)
    const count = last?.since === since ? last.count + 1 : 0
    places.set(queue, { since, count })
    return count
  }

  return {
    async queues() {
      const text = `SELECT name FROM ${s}.nq_queue WHERE paused OR concurrency IS NOT NULL OR rate_limit IS NOT NULL`
      const [names, rows] = await Promise.all([provider.getQueues(), db.query<{ name: string }>(text, [], REPEATABLE)])
      const set = rows.map(({ name }) => name).filter((name) => !isInternalQueue(name))
      return [...new Set([...names, ...set.map(decodeQueue)])]
    },
    ...queueCalls(provider),
    ...createJobReader(db),
    async *remembered() {
      const text = `SELECT f.name, f.id, f.run, extract(epoch FROM f.until)::float8 * 1000 AS until FROM ${s}.nq_forgotten f
        WHERE (f.name, f.id) > ($1, $2::uuid) AND f.until > clock_timestamp() ORDER BY f.name, f.id LIMIT ${PAGE}`
      for (let after = ['', '00000000-0000-0000-0000-000000000000']; ;) {
        const rows = await db.query<{ name: string; id: string; run: string; until: number }>(text, after, REPEATABLE)
        const found = rows.map(({ name, id, run, until }) => ({ queue: decodeQueue(name), id, runId: run, until }))
        if (found.length > 0) yield found
        if (rows.length < PAGE) return
        after = [rows.at(-1)!.name, rows.at(-1)!.id]
      }
    },
    async write(jobs) {
      if (jobs.length === 0) return
      for (const job of jobs) checkStorableDraft(job)
      const queues = [...new Set(jobs.map(({ queue }) => queue))]
      for (const queue of queues) await boss.ensureQueue(queue)
      for (const queue of queues) {
        if (jobs.some((job) => job.queue === queue && fairShareOf(job))) await fair.ensure(encodeQueue(queue))
      }
      const now = clock.now()
      const texts = jobs.map((job) => encodeCopy(job, now, placeOf(job)))
      const data = jobs.map((job) => (job.data === undefined ? 'null' : encodeJsonb(job.data)))
      const outputs = jobs.map(encodeEnd)
      // A repeated statement stores nothing, because the ids are known.
      await db.query(
        copy,
        [texts, data, outputs].map((list) => `[${list.join(',')}]`),
        REPEATABLE,
      )
      for (const queue of queues) await announce(encodeQueue(queue))
    },
    async remember(ids) {
      const rows = ids.map(({ queue, id, runId, until }) => ({
        q: encodeQueue(queue),
        i: jobUuid(queue, id),
        r: runId,
        u: until,
      }))
      await db.query(REMEMBER_IDS(s), [JSON.stringify(rows)], REPEATABLE)
    },
  }
}

/** Encodes the result of a completed job, or the last error of any other job. */
function encodeEnd({ state, result, error }: JobRecord): string {
  const output = state === 'completed' ? encodeOutput(result) : error && encodeJsonb(error)
  return output ?? 'null'
}

/** Encodes a job for `copyJobsStatement`, which documents the members. */
function encodeCopy(job: JobRecord, now: number, place: number): string {
  const { state, runAt, createdAt, claims, attemptsMade, crashes, lapses, round, progress, startedAt, finishedAt } = job
  const share = fairShareOf(job)
  const encoded = JSON.parse(encodeJob(job, job.data, now, place, share, false)) as { e: { nq: Envelope } }
  const counts: Envelope = {
    ...(attemptsMade > 0 && { attempts: attemptsMade }),
    ...(attemptsMade > 0 && round > 0 && { b: round }),
    ...(crashes > 0 && { c: crashes }),
    ...(lapses !== undefined && { y: lapses }),
    ...(round > 0 && { k: round }),
    ...(progress !== undefined && { g: progress }),
  }
  Object.assign(encoded.e.nq, counts)
  const states = {
    waiting: claims + round > 0 ? 'retry' : 'created',
    delayed: claims + round > 0 ? 'retry' : 'created',
  }
  return JSON.stringify({
    ...encoded,
    st: state in states ? states[state as keyof typeof states] : state,
    rc: Math.max(0, claims - 1),
    du: Math.max(runAt, createdAt),
    sa: claims > 0 ? (startedAt ?? createdAt) : undefined,
    fa: finishedAt,
  })
}
