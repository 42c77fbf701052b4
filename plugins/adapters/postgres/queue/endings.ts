import type { Clock, Ending, JobRecord } from '../../../../kernel/index.ts'
import type { Listeners } from '../../lib/listeners.ts'
import type { Slots } from '../../lib/slots.ts'
import type { AppendCarrier, JoinedTurn } from '../lib/joined-turn.ts'
import type { PostgresPort } from '../lib/postgres.ts'
import { claimOf, type Claim } from './claim.ts'
import type { createPolls } from './polls.ts'
import { settlementOf, type Settled } from './settlement.ts'
import { readTurn, type TurnRow } from './turn.ts'

export interface EndingsOptions {
  /** The name of the queue in pg-boss. */
  queue: string
  db: PostgresPort
  clock: Pick<Clock, 'now'>
  listeners: Listeners
  slots: Slots<Claim>
  polls: ReturnType<typeof createPolls>
  /** Returns whether nothing else waits to be stored, so that a turn may travel with an append. */
  mayJoin(): boolean
  /** Called when a turn that claims begins. The returned function is called with its result. */
  begin(): (full: boolean, due: number | null) => void
  /** Returns whether claimed jobs may start. */
  mayStart(): boolean
  /** Called when a turn has ended. */
  changed(): void
}

/** Joins the settlement of a completed job and the next claim to the append of its end, for a consumer with a concurrency of 1. */
export function createEndings(options: EndingsOptions) {
  const { queue, db, clock, listeners, slots, polls } = options

  function turnOf(job: Claim, one: Settled): JoinedTurn {
    const done = polls.begin(1)
    const claimed = options.begin()
    return {
      ...{ queue, lease: db.lease, settle: `[${one.text}]`, ctid: one.ctid, returnSettled: listeners.any },
      done(rows, repeated) {
        done()
        const turn = readTurn(rows as TurnRow[])
        claimed(turn.claimed.length === 1, turn.due)
        slots.add(turn.claimed.map(claimOf))
        if (!options.mayStart()) slots.giveBack()
        job.stored = true
        job.settled = repeated || turn.settledIds.has(one.uuid) ? one : undefined
        slots.stored(job)
        options.changed()
      },
      undone() {
        done()
        options.changed()
      },
    }
  }

  return {
    of: (job: Claim, record: JobRecord, key: string): Ending => ({
      key,
      store: db,
      sent({ data }, carrier) {
        if (job.lost || !options.mayJoin()) return
        const { result } = data as { result?: unknown }
        let isStorable = true
        const refuse = (): void => void (isStorable = false)
        const one = settlementOf(job, record, { type: 'completed', result }, clock.now(), refuse)
        // The runner's settlement reports what cannot be stored.
        if (isStorable) (carrier as AppendCarrier).join(turnOf(job, one))
      },
    }),
  }
}
