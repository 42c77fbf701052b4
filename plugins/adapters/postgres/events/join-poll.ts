import type { AppendCarrier, JoinedPoll } from '../lib/joined-poll.ts'
import { quoteName, quoteText, type PostgresPort } from '../lib/postgres.ts'
import type { Packed } from './passes.ts'

/** A poll, and which append of the batch it depends on. */
export interface Joined {
  poll: JoinedPoll
  /** The index of the append among the inline runs, starting at 1. */
  inline: number | null
  /** The index of the append in the first pass, starting at 0. */
  other: number | null
}

/**
 * Asks the job that ends with a batch for the poll of its consumer. A batch with the ends of several jobs is sent alone: such
 * consumers run many jobs at once and do not wait for the outcome of one.
 *
 * @param inline the inline runs of the batch
 * @param others the other appends of the first pass
 */
export function joinPoll(db: PostgresPort, inline: readonly Packed[], others: readonly Packed[]): Joined | undefined {
  const ending = [...inline, ...others].filter(endingOf)
  if (ending.length !== 1) return undefined
  const [packed] = ending as [Packed]
  const { end, ending: found } = endingOf(packed)!
  if (found.store !== db) return undefined
  let poll: JoinedPoll | undefined
  const carrier: AppendCarrier = { join: (joined) => void (poll = joined) }
  found.sent(end, carrier)
  const [inlineIndex, otherIndex] = [inline.indexOf(packed), others.indexOf(packed)]
  return poll && { poll, inline: inlineIndex < 0 ? null : inlineIndex + 1, other: otherIndex < 0 ? null : otherIndex }
}

/** Returns the ending of an append, and its terminal event. An accepted append with `unless` has stored that event itself. */
function endingOf({ members }: Packed) {
  for (const { drafts, options } of members) {
    const { ending, unless } = options
    const end = ending && unless === ending.key ? drafts.find(({ key }) => key === ending.key) : undefined
    if (end) return { end, ending: ending! }
  }
  return undefined
}

/** A path to the result of an append of the first pass if it has a reason, which means that the append was refused. */
const REFUSED = '$.rounds[0].old[*] ? (@.i == $i && exists(@.reason))'

/**
 * Sends an append and a poll in one statement, which is one round trip and one commit. An inline run was accepted if its
 * stream did not exist, another append unless its result has a reason. Returns the answer of the append. If the statement
 * fails, nothing has taken effect, and it returns `undefined`: the append is sent alone.
 */
export async function sendWithPoll(
  db: PostgresPort,
  append: string,
  appendValues: readonly unknown[],
  { poll, inline, other }: Joined,
): Promise<string | undefined> {
  const values = [...appendValues]
  const use = (value: unknown): string => `$${values.push(value)}`
  const text = `WITH appended AS MATERIALIZED (${append}), parsed AS MATERIALIZED (
      SELECT answer, answer::jsonb AS result FROM appended
    ), judged AS MATERIALIZED (
      SELECT answer, CASE WHEN ${use(inline)}::int IS NULL
        THEN NOT jsonb_path_exists(result, ${quoteText(REFUSED)}, jsonb_build_object('i', ${use(other)}::int))
        ELSE NOT coalesce(result -> 'old' @> to_jsonb(${use(inline)}::int), false) END AS accepted FROM parsed
    )
    SELECT judged.*, poll.* FROM judged LEFT JOIN LATERAL ${quoteName(db.schema)}.nq_take_turn(
      ${use(poll.queue)}, CASE WHEN accepted THEN 1 ELSE 0 END, ${use(poll.lease)},
      CASE WHEN accepted THEN ${use(poll.settle)}::text END, ${use([poll.ctid])}, ${use(poll.returnSettled)}, 0
    ) AS poll ON true`
  let repeated = false
  const onRepeat = (): void => void (repeated = true)
  let rows: { answer: string; accepted: boolean; kind: string | null }[]
  try {
    rows = await db.query(text, values, { repeatable: true, onRepeat, tries: 1 })
  } catch {
    poll.undone()
    return undefined
  }
  if (rows[0]!.accepted)
    poll.done(
      rows.filter(({ kind }) => kind !== null),
      repeated,
    )
  else poll.undone()
  return rows[0]!.answer
}
