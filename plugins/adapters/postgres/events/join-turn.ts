import type { AppendCarrier, JoinedTurn } from '../lib/joined-turn.ts'
import type { PostgresPort } from '../lib/postgres.ts'
import type { Packed } from './passes.ts'

/** A turn, and the SQL expression that says whether its append was accepted, from the `answer` of `nq_append`. */
export interface Joined {
  turn: JoinedTurn
  accepted: string
}

/**
 * Asks the job that ends with a batch for the turn of its consumer. A batch with the ends of several jobs is sent alone: such
 * consumers run many jobs at once and do not wait for the outcome of one.
 *
 * @param inline the inline runs of the batch
 * @param others the other appends of the first pass
 */
export function joinTurn(db: PostgresPort, inline: readonly Packed[], others: readonly Packed[]): Joined | undefined {
  const ending = [...inline, ...others].filter(endingOf)
  if (ending.length !== 1) return undefined
  const [packed] = ending as [Packed]
  const { end, ending: found } = endingOf(packed)!
  if (found.store !== db) return undefined
  let turn: JoinedTurn | undefined
  const carrier: AppendCarrier = { join: (joined) => void (turn = joined) }
  found.sent(end, carrier)
  return turn && { turn, accepted: acceptedIn(inline.indexOf(packed), others.indexOf(packed)) }
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

/** An inline run was accepted if its stream did not exist. Another append was accepted unless its result has a reason. */
function acceptedIn(inlineIndex: number, passIndex: number): string {
  if (inlineIndex >= 0) return `NOT coalesce(answer::jsonb -> 'old' @> '${inlineIndex + 1}', false)`
  return `NOT jsonb_path_exists(answer::jsonb, '$.rounds[0].old[*] ? (@.i == ${passIndex} && exists(@.reason))')`
}

/**
 * Sends an append and a turn in one statement, which is one round trip and one commit. Returns the answer of the append. If
 * the statement fails, nothing has taken effect, and it returns `undefined`: the append is sent alone.
 */
export async function sendWithTurn(
  db: PostgresPort,
  append: string,
  appendValues: readonly unknown[],
  { turn, accepted }: Joined,
): Promise<string | undefined> {
  const values = [...appendValues]
  const call = turn.call((value) => `$${values.push(value)}`, 'accepted')
  const text = `WITH appended AS MATERIALIZED (${append}),
    judged AS MATERIALIZED (SELECT answer, ${accepted} AS accepted FROM appended)
    SELECT judged.*, turn.* FROM judged LEFT JOIN LATERAL ${call} AS turn ON true`
  let repeated = false
  const onRepeat = (): void => void (repeated = true)
  let rows: { answer: string; accepted: boolean; kind: string | null }[]
  try {
    rows = await db.query(text, values, { repeatable: true, onRepeat, tries: 1 })
  } catch {
    turn.undone()
    return undefined
  }
  if (rows[0]!.accepted)
    turn.done(
      rows.filter(({ kind }) => kind !== null),
      repeated,
    )
  else turn.undone()
  return rows[0]!.answer
}
