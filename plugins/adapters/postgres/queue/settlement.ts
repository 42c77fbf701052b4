import { serializeError, type JobRecord, type QueueEvent, type Settlement } from '../../../../kernel/index.ts'
import { givenBack, storable } from '../../lib/storable.ts'
import type { ClaimedJob, NotifyListeners } from './claim.ts'
import { encodeJsonb, encodeOutput, type Envelope } from './record.ts'

/** The settlement of a job, encoded for `nq_take_turn`. */
export interface Settled {
  readonly uuid: string
  /** The `ctid` of its row after the claim. The row may have moved since. */
  readonly ctid: string
  /** The settlement as JSON. `SETTLED` in `sql-settle-and-claim.ts` explains its members. */
  readonly text: string
  /** Milliseconds for which the queue is held. */
  readonly hold: number
  /** True if the job runs again. */
  readonly again: boolean
  /** True if other processes have to be notified that the job is available. */
  readonly returned: boolean
  /** Returns a settlement to store instead if the store rejects this one. Absent if there is none. */
  instead?(): Settled
  /** Emits the events of the settlement. */
  notify(emit: NotifyListeners): void
}

interface Change {
  state: 'completed' | 'failed' | 'cancelled' | 'retry'
  output?: string
  /** Milliseconds until the job is due again. */
  delay?: number
  envelope?: Envelope
  record: Partial<JobRecord>
  events: QueueEvent[]
  hold?: number
}

/** Returns the settlement of a job that was not started. The job keeps its position in the queue. */
export function returned({ key: uuid, ctid, count }: ClaimedJob): Settled {
  const text = `{"i":"${uuid}","n":${count},"s":"retry"}`
  return { uuid, ctid, text, hold: 0, again: true, returned: true, notify() {} }
}

/** Returns the settlement of a job that cannot be decoded. It has failed, because it would not be decoded the next time either. */
export function unreadableJob({ key: uuid, ctid, count }: ClaimedJob, error: unknown): Settled {
  const text = `{"i":"${uuid}","n":${count},"s":"failed","o":${encodeJsonb(serializeError(error))}}`
  return { uuid, ctid, text, hold: 0, again: false, returned: false, notify() {} }
}

/** Encodes a settlement. If it cannot be stored, calls `report`, and returns a settlement with which the job runs again. */
export function settlementOf(
  claim: ClaimedJob,
  before: JobRecord,
  settlement: Settlement,
  now: number,
  report: (problem: unknown) => void,
): Settled {
  try {
    return settledOf(claim, before, changeOf(before, storable(settlement, now, report), now), now)
  } catch (cause) {
    report(cause)
    return givenBackInstead(claim, before, now)
  }
}

function settledOf(claim: ClaimedJob, before: JobRecord, change: Change, now: number): Settled {
  const { key: uuid, ctid, count } = claim
  const { state, output, delay, envelope, record, events, hold = 0 } = change
  let text = `{"i":"${uuid}","n":${count},"s":"${state}"`
  if (output !== undefined) text += `,"o":${output}`
  if (delay !== undefined) text += `,"d":${delay}`
  if (envelope) text += `,"p":${JSON.stringify(envelope)}`
  return {
    uuid,
    ctid,
    text: `${text}}`,
    hold,
    again: delay !== undefined,
    returned: false,
    instead: () => givenBackInstead(claim, before, now),
    notify(emit) {
      const job = { ...before, ...record }
      for (const event of events) emit(event, job)
    },
  }
}

/**
 * Returns the settlement of a job whose outcome the store rejects. The job runs again, which counts as a crash. If its outcome
 * is in its events, the next claim completes the job with that outcome.
 */
function givenBackInstead(claim: ClaimedJob, before: JobRecord, now: number): Settled {
  const change = changeOf(before, givenBack({}, now), now)
  return { ...settledOf(claim, before, change, now), instead: undefined }
}

function changeOf(before: JobRecord, settlement: Settlement, now: number): Change {
  const { attemptsMade, crashes } = before
  switch (settlement.type) {
    case 'completed': {
      const { result } = settlement
      const record = { state: 'completed', result, finishedAt: now } as const
      return { state: 'completed', output: encodeOutput(result), record, events: ['completed'] }
    }
    case 'failed': {
      const attempts = attemptsMade + 1
      const { error } = settlement
      const record = { state: 'failed', error, attemptsMade: attempts, finishedAt: now } as const
      return { state: 'failed', output: encodeJsonb(error), envelope: attempted(before), record, events: ['failed'] }
    }
    case 'retry': {
      const attempts = attemptsMade + 1
      const { error, runAt } = settlement
      const again = waiting(runAt, now)
      return {
        ...again,
        output: encodeJsonb(error),
        envelope: { ...attempted(before), x: runAt },
        record: { ...again.record, error, attemptsMade: attempts },
        events: ['retrying', ...again.events],
      }
    }
    case 'ended': {
      const { state, result, error } = settlement
      const output = error ? encodeJsonb(error) : encodeOutput(result)
      return { state, output, record: { state, result, ...(error && { error }), finishedAt: now }, events: [state] }
    }
    case 'defer': {
      const { runAt, holdQueue, crashed } = settlement
      const change = waiting(runAt, now)
      if (crashed) change.envelope = { ...change.envelope, c: crashes + 1 }
      if (crashed) change.record.crashes = crashes + 1
      return { ...change, hold: holdQueue ? runAt - now : 0 }
    }
    case 'lost':
      throw new Error('A job whose lease was lost must not be settled.')
  }
}

/**
 * Returns the members of the envelope after one more attempt. A job from a pg-boss client, which has no name, keeps its options, so that
 * its number of attempts is known when a client retries it.
 */
function attempted({ attemptsMade, round, name, options }: JobRecord): Envelope {
  const attempts = attemptsMade + 1
  return { attempts, ...(round > 0 && { b: round }), ...(name === '' && { o: options }) }
}

function waiting(runAt: number, now: number): Change {
  const state = runAt > now ? 'delayed' : 'waiting'
  return {
    state: 'retry',
    delay: Math.max(0, runAt - now),
    envelope: { x: runAt },
    record: { state, runAt },
    events: [state],
  }
}
