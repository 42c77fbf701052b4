import {
  QueueError,
  type Clock,
  type EnqueueReceipt,
  type JobDraft,
  type SqlClient,
  type StoreOptions,
} from '../../kernel/index.ts'
import { createGroupCommit } from '../_shared/group-commit.ts'
import { quoteName, type PostgresPort } from '../_shared/postgres.ts'
import { copyValue } from '../_shared/value.ts'
import type { Boss } from './boss.ts'
import { encodeQueue, jobUuid } from './names.ts'
import { encodeJob } from './record.ts'

interface Added {
  ord: number
  added: boolean
  run: string | null
}

interface Item {
  draft: JobDraft
  data: unknown
}

type Run = <Row extends object>(text: string, values: unknown[]) => Promise<Row[]>

export interface JobStore {
  one(draft: JobDraft, options?: StoreOptions): Promise<EnqueueReceipt>
  many(drafts: readonly JobDraft[], options?: readonly StoreOptions[]): Promise<EnqueueReceipt[]>
  idle(): Promise<void>
}

/** Stores jobs: those that are enqueued at the same time with one statement and one commit. */
export function createJobStore(db: PostgresPort, boss: Boss, host: { clock: Clock; payloadLimit: number }): JobStore {
  const schema = quoteName(db.schema)
  const insert = `SELECT ord, added, run FROM ${schema}.nq_enqueue($1, $2)`
  const runsOf = `SELECT x.n AS ord, coalesce(j.trace_context #>> '{nq,r}', j.trace_context #>> '{nq,i}', j.id::text) AS run
    FROM json_to_recordset($1::text::json) AS x (n int, q text, i uuid)
    JOIN ${schema}.job j ON j.name = x.q AND j.id = x.i`

  const own: Run = (text, values) => db.query(text, values)

  const within = (client: SqlClient): Run => {
    const run = 'executeSql' in client ? client.executeSql.bind(client) : client.query.bind(client)
    return async <Row>(text: string, values: unknown[]) => (await run(text, values)).rows as Row[]
  }

  function prepare(draft: JobDraft): Item {
    const { data, name } = draft
    const copy = data === undefined ? data : copyValue(data, host.payloadLimit, `data of job "${name}"`)
    return { draft, data: copy }
  }

  async function store(texts: readonly string[], drafts: readonly JobDraft[], run: Run): Promise<EnqueueReceipt[]> {
    for (const queue of new Set(drafts.map((draft) => draft.queue))) await boss.ensureQueue(queue)
    const rows = await run<Added>(insert, [`[${texts.join(',')}]`, db.pollInterval])
    const known = rows.filter(({ added, run: told }) => !added && told === null)
    if (known.length > 0) {
      const wanted = known.map(({ ord }) => {
        const { queue, id } = drafts[ord]!
        return { n: ord, q: encodeQueue(queue), i: jobUuid(queue, id) }
      })
      const found = await run<{ ord: number; run: string }>(runsOf, [JSON.stringify(wanted)])
      const runs = new Map(found.map((row) => [row.ord, row.run]))
      for (const row of known) row.run = runs.get(row.ord) ?? null
    }
    const receipts: EnqueueReceipt[] = Array.from({ length: drafts.length })
    for (const { ord, added, run: told } of rows) {
      const { id, runId } = drafts[ord]!
      receipts[ord] = { id, runId: added ? runId : (told ?? runId), deduplicated: !added }
    }
    return receipts
  }

  const encode = (items: readonly Item[]): string[] =>
    items.map(({ draft, data }, index) => encodeJob(draft, data, host.clock.now(), index))

  const group = createGroupCommit<Item, EnqueueReceipt>({
    commit: (items) =>
      store(
        encode(items),
        items.map(({ draft }) => draft),
        own,
      ),
  })

  return {
    async one(draft, { db: client } = {}) {
      const item = prepare(draft)
      // Refused here, so that it cannot fail the others of its group.
      const text = encodeJob(draft, item.data, host.clock.now(), 0)
      if (!client) return group.push(item)
      return (await store([text], [draft], within(client)))[0]!
    },
    async many(drafts, options = []) {
      if (drafts.length === 0) return []
      const client = options[0]?.db
      if (options.some((other) => other.db !== client)) {
        const message = 'Jobs that are enqueued together take part in one transaction. Give all of them the same "db".'
        throw new QueueError('OPTION_INVALID', message)
      }
      const items = drafts.map(prepare)
      return store(encode(items), drafts, client ? within(client) : own)
    },
    idle: () => group.idle(),
  }
}
