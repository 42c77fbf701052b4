import {
  hasGivenId,
  QueueError,
  type Clock,
  type EnqueueReceipt,
  type JobDraft,
  type SqlClient,
  type StoreOptions,
} from '../../../../kernel/index.ts'
import { fairShareOf } from '../../lib/fair-share.ts'
import { createGroupCommit } from '../../lib/group-commit.ts'
import { mayBeOneMembers } from '../lib/failure.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { copyValue } from '../../../lib/value.ts'
import type { Boss } from './boss.ts'
import { encodeQueue, jobUuid } from './names.ts'
import { createFairQueues } from './fair-queues.ts'
import { checkStorableDraft, encodeJob, encodeJsonb } from './record.ts'

interface Item {
  draft: JobDraft
  data: unknown
}

type Run = <Row extends object>(text: string, values: unknown[], onRepeat?: () => void) => Promise<Row[]>

/** A job that was stored (`run` is null), or a remembered id with the run of its removed job. */
interface StoredRow {
  queue: string
  id: string
  run: string | null
}

/** An existing job. */
interface Known {
  run: string
  /** When it was enqueued. */
  at: number | null
}

export interface JobStore {
  one(draft: JobDraft, options?: StoreOptions): Promise<EnqueueReceipt>
  many(drafts: readonly JobDraft[], options?: readonly StoreOptions[]): Promise<EnqueueReceipt[]>
  idle(): Promise<void>
}

/** Creates the store of jobs. Jobs that are enqueued at the same time share one statement and one commit. */
export function createJobStore(db: PostgresPort, boss: Boss, host: { clock: Clock; payloadLimit: number }): JobStore {
  const schema = quoteName(db.schema)
  const insert = `SELECT queue, id, NULL AS run FROM ${schema}.nq_enqueue($1, $2, $3, $4)`
  const insertOnce = `SELECT queue, id, run FROM ${schema}.nq_enqueue_once($1, $2, $3, $4, $5, $6)`
  const insertTagged = `SELECT queue, id, run FROM ${schema}.nq_enqueue_tagged($1, $2, $3, $4, $5, $6, $7)`
  const insertFair = insertTagged.replace('nq_enqueue_tagged', 'nq_enqueue_fair')
  const selectRuns = `SELECT j.name AS queue, j.id, coalesce(j.trace_context #>> '{nq,r}', j.trace_context #>> '{nq,i}', j.id::text) AS run,
      (j.trace_context #>> '{nq,t}')::float8 AS at
    FROM json_to_recordset($1::text::json) AS x (q text, i uuid) JOIN ${schema}.job j ON j.name = x.q AND j.id = x.i`

  // The statement is safe to repeat, because an existing job is not stored again.
  const own: Run = (text, values, onRepeat) => db.query(text, values, { repeatable: true, onRepeat })

  const within = (client: SqlClient): Run => {
    const run = 'executeSql' in client ? client.executeSql.bind(client) : client.query.bind(client)
    return async <Row>(text: string, values: unknown[]) => (await run(text, values)).rows as Row[]
  }

  const places = createPlaces()
  const fair = createFairQueues(db)

  /** Checks and copies a draft, so that a job that cannot be stored fails before it joins a group. */
  function prepare(draft: JobDraft): Item {
    const { data, name } = draft
    checkStorableDraft(draft)
    const copy = data === undefined ? data : copyValue(data, host.payloadLimit, `data of job "${name}"`)
    return { draft, data: copy }
  }

  /** Stores new jobs. Returns a receipt for each item, with the run of the existing job if its id is taken. */
  async function store(items: readonly Item[], run: Run): Promise<EnqueueReceipt[]> {
    const now = host.clock.now()
    const first = new Map<string, number>()
    const texts: string[] = []
    const payloads: string[] = []
    const soon = new Set<string>()
    const given: { queue: string; uuid: string }[] = []
    const tags: { q: string; i: string; tag: string }[] = []
    const fairQueues = new Set<string>()
    let takesTurns = false
    for (const [index, { draft, data }] of items.entries()) {
      const queue = encodeQueue(draft.queue)
      const uuid = jobUuid(draft.queue, draft.id)
      const key = keyOf(queue, uuid)
      if (first.has(key)) continue
      first.set(key, index)
      if (hasGivenId(draft)) given.push({ queue, uuid })
      for (const tag of draft.tags ?? []) tags.push({ q: queue, i: uuid, tag })
      const place = draft.runAt > now ? places.next(queue, draft.runAt) : texts.length
      const share = draft.options.fairKey === undefined ? undefined : fairShareOf(draft)
      // In the transaction of a caller, a job gets its turn once it is committed.
      const hasTurn = share !== undefined && run === own && draft.runAt <= Math.max(now, draft.createdAt)
      if (share) fairQueues.add(queue)
      takesTurns ||= hasTurn
      texts.push(encodeJob(draft, data, now, place, share, hasTurn))
      payloads.push(data === undefined ? 'null' : encodeJsonb(data))
      if (draft.runAt - now <= db.pollInterval) soon.add(draft.queue)
    }
    for (const queue of new Set(items.map(({ draft }) => draft.queue))) await boss.ensureQueue(queue)
    for (const queue of fairQueues) await fair.ensure(queue)
    const values: unknown[] = [
      `[${texts.join(',')}]`,
      `[${payloads.join(',')}]`,
      texts.length,
      [...soon].map(encodeQueue),
    ]
    const byId = [given.map(({ queue }) => queue), given.map(({ uuid }) => uuid)]
    const withTags = tags.length > 0 || takesTurns
    if (given.length > 0 || withTags) values.push(...byId)
    if (withTags) values.push(JSON.stringify(tags))
    const text = takesTurns ? insertFair : withTags ? insertTagged : given.length > 0 ? insertOnce : insert
    let repeated = false
    const rows = await run<StoredRow>(text, values, () => (repeated = true))
    const forgotten = new Map(rows.flatMap((row) => (row.run === null ? [] : [[keyOf(row.queue, row.id), row.run]])))
    if (forgotten.size > 0) return storeOthers(items, forgotten, run)
    const added = rows.length === 0 ? undefined : new Set(rows.map(({ queue, id }) => keyOf(queue, id)))
    const known =
      added &&
      (await runsOf(
        [...first.keys()].filter((key) => !added.has(key)),
        run,
      ))
    return items.map(({ draft: { id, queue } }, index) => {
      const key = keyOf(encodeQueue(queue), jobUuid(queue, id))
      const original = items[first.get(key)!]!.draft
      const found = known?.get(key)
      // A repeated statement may find the job that its first copy has stored.
      const isOwnJob = repeated && found?.run === original.runId && found.at === original.createdAt
      const deduplicated = first.get(key) !== index || (known?.has(key) === true && !isOwnJob)
      return { id, runId: found?.run ?? original.runId, deduplicated }
    })
  }

  /** Stores the jobs whose ids are not remembered. */
  async function storeOthers(items: readonly Item[], forgotten: Map<string, string>, run: Run) {
    const runOf = ({ draft: { queue, id } }: Item) => forgotten.get(keyOf(encodeQueue(queue), jobUuid(queue, id)))
    const others = items.filter((item) => runOf(item) === undefined)
    const receipts = (others.length > 0 ? await store(others, run) : []).values()
    return items.map((item) => {
      const runId = runOf(item)
      return runId === undefined ? receipts.next().value! : { id: item.draft.id, runId, deduplicated: true }
    })
  }

  /** Reads the runs of existing jobs. */
  async function runsOf(keys: readonly string[], run: Run): Promise<Map<string, Known | undefined>> {
    const wanted = keys.map((key) => ({ q: key.slice(37), i: key.slice(0, 36) }))
    const found = await run<Known & { queue: string; id: string }>(selectRuns, [JSON.stringify(wanted)])
    const runs = new Map<string, Known | undefined>(keys.map((key) => [key, undefined]))
    for (const row of found) runs.set(keyOf(row.queue, row.id), row)
    return runs
  }

  const group = createGroupCommit<Item, EnqueueReceipt>({
    commit: (items) => store(items, own),
    splitOn: mayBeOneMembers,
  })

  return {
    async one(draft, { db: client } = {}) {
      const item = prepare(draft)
      if (!client) return group.push(item)
      return (await store([item], within(client)))[0]!
    },
    async many(drafts, options = []) {
      if (drafts.length === 0) return []
      const client = options[0]?.db
      if (options.some((other) => other.db !== client)) {
        const message =
          'Jobs of one call must share a transaction, but got different "db" options. Pass the same "db" for all jobs.'
        throw new QueueError('OPTION_INVALID', message)
      }
      return store(drafts.map(prepare), client ? within(client) : own)
    },
    idle: () => group.idle(),
  }
}

/** Returns a key that identifies a job. The UUID is its first 36 characters. */
function keyOf(queue: string, uuid: string): string {
  return `${uuid} ${queue}`
}

/** The maximum number of queues and moments that are remembered. */
const MAX_PLACES = 1000

/**
 * Counts the jobs of this process that are due at the same moment. Their rows may be anywhere in the table, so without a number they would
 * start in any order.
 */
function createPlaces() {
  const taken = new Map<string, number>()
  return {
    next(queue: string, runAt: number): number {
      const key = `${runAt} ${queue}`
      const place = taken.get(key) ?? 0
      taken.delete(key)
      taken.set(key, place + 1)
      if (taken.size > MAX_PLACES) taken.delete(taken.keys().next().value!)
      return place
    },
  }
}
