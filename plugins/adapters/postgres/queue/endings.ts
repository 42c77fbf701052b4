import type { Clock, Ending, JobRecord } from '../../../../kernel/index.ts'
import type { Listeners } from '../../lib/listeners.ts'
import type { Slots } from '../../lib/slots.ts'
import type { AppendCarrier, JoinedPoll } from '../lib/joined-poll.ts'
import type { PostgresPort } from '../lib/postgres.ts'
import { claimOf, type ClaimedJob } from './claim.ts'
import type { createPolls } from './polls.ts'
import { settlementOf, type Settled } from './settlement.ts'
import { readPoll, type PollRow } from './poll-rows.ts'

export interface EndingsOptions {
  /** The name of the queue in pg-boss. */
  queue: string
  db: PostgresPort
  clock: Pick<Clock, 'now'>
  listeners: Listeners
  slots: Slots<ClaimedJob>
  polls: ReturnType<typeof createPolls>
  /** Returns whether nothing else waits to be stored, so that a poll may travel with an append. */
  mayJoin(): boolean
  /** Called when a poll that claims begins. The returned function is called with its result. */
  begin(): (full: boolean, due: number | null) => void
  /** Returns whether claimed jobs may start. */
  mayStart(): boolean
  /** Called when a poll has ended. */
  changed(): void
}

/** Joins the settlement of a completed job and the next claim to the append of its end, for a consumer with a concurrency of 1. */
export function createEndings(options: EndingsOptions) {
  const { queue, db, clock, listeners, slots, polls } = options

  function pollOf(job: ClaimedJob, one: Settled): JoinedPoll {
    const done = polls.begin(1)
    const claimed = options.begin()
    return {
      ...{ queue, lease: db.lease, settle: `[${one.text}]`, ctid: one.ctid, returnSettled: listeners.any },
      done(rows, repeated) {
        done()
        const poll = readPoll(rows as PollRow[])
        claimed(poll.claimed.length === 1, poll.due)
        slots.add(poll.claimed.map(claimOf))
        if (!options.mayStart()) slots.giveBack()
        job.stored = true
        job.settled = repeated || poll.settledIds.has(one.uuid) ? one : undefined
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
    of: (job: ClaimedJob, record: JobRecord, key: string): Ending => ({
      key,
      store: db,
      sent({ data }, carrier) {
        if (job.lost || !options.mayJoin()) return
        const { result } = data as { result?: unknown }
        let isStorable = true
        const refuse = (): void => void (isStorable = false)
        const one = settlementOf(job, record, { type: 'completed', result }, clock.now(), refuse)
        // The runner's settlement reports what cannot be stored.
        if (isStorable) (carrier as AppendCarrier).join(pollOf(job, one))
      },
    }),
  }
}
