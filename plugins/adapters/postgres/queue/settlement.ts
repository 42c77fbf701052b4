import type { JobRecord, QueueEvent, Settlement } from '../../../../kernel/index.ts'
import { givenBack, storable } from '../../lib/storable.ts'
import type { Claim } from './claim.ts'
import { encodeJsonb, encodeOutput, type Envelope } from './record.ts'

/** A job that has run, as `nq_take_turn` takes it. */
export interface Settled {
  readonly uuid: string
  /** Where its row was last seen. */
  readonly at: string
  /** JSON. */
  readonly text: string
  /** Milliseconds for which the queue claims nothing. */
  readonly hold: number
  /** Whether it runs again. */
  readonly again: boolean
  /** Whether others have to be told that they may run it. */
  readonly returned: boolean
  /** What to write in its place when the store refuses it; absent for what cannot be written in another way. */
  instead?(): Settled
  /** Tells what has become of the job. */
  tell(emit: (event: QueueEvent, record: JobRecord) => void): void
}

interface Change {
  state: 'completed' | 'failed' | 'cancelled' | 'retry'
  output?: string
  /** Milliseconds until it may run again. */
  delay?: number
  envelope?: Envelope
  record: Partial<JobRecord>
  events: QueueEvent[]
  hold?: number
}

/** What to write for a job that has not been begun: it is in its old place again. */
export function returned({ uuid, at, count }: Claim): Settled {
  return { uuid, at, text: `{"i":"${uuid}","n":${count},"s":"retry"}`, hold: 0, again: true, returned: true, tell() {} }
}

/** What to write for a settlement. `report` is called with what cannot be stored of it. */
export function settlementOf(
  claim: Claim,
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

function settledOf(claim: Claim, before: JobRecord, change: Change, now: number): Settled {
  const { uuid, at, count } = claim
  const { state, output, delay, envelope, record, events, hold = 0 } = change
  let text = `{"i":"${uuid}","n":${count},"s":"${state}"`
  if (output !== undefined) text += `,"o":${output}`
  if (delay !== undefined) text += `,"d":${delay}`
  if (envelope) text += `,"p":${JSON.stringify(envelope)}`
  return {
    uuid,
    at,
    text: `${text}}`,
    hold,
    again: delay !== undefined,
    returned: false,
    instead: () => givenBackInstead(claim, before, now),
    tell(emit) {
      const job = { ...before, ...record }
      for (const event of events) emit(event, job)
    },
  }
}

/** What the store refuses is given back, which counts as a crash; if its end is in the log, that is what it comes to. */
function givenBackInstead(claim: Claim, before: JobRecord, now: number): Settled {
  const change = changeOf(before, givenBack({}, now), now)
  return { ...settledOf(claim, before, change, now), instead: undefined }
}

function changeOf({ attemptsMade, crashes }: JobRecord, settlement: Settlement, now: number): Change {
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
      return { state: 'failed', output: encodeJsonb(error), envelope: { attempts }, record, events: ['failed'] }
    }
    case 'retry': {
      const attempts = attemptsMade + 1
      const { error, runAt } = settlement
      const again = waiting(runAt, now)
      return {
        ...again,
        output: encodeJsonb(error),
        envelope: { attempts, x: runAt },
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
      throw new Error('A job that somebody else holds is not settled.')
  }
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
