import { isPromise, QueueError, type JobDraft, type MaybePromise } from '../../../kernel/index.ts'

/** Where a value is stored. It never changes while the value is stored. */
export interface PayloadPlace {
  runId: string
  /** The id of the job. Empty for events that belong to no job. */
  id: string
  /** `data`, `result` and `error` for jobs. For events, their type and the name of the member. */
  kind: string
  /** The job, if the value belongs to one that is being stored. */
  job?: Readonly<JobDraft>
}

/**
 * The reader: `run` is a worker that is about to run the job, `read` a plugin or a handler, and `show` a follower of a run. Only `run`
 * and a read inside a handler may fail; all others receive a text instead of a value that cannot be decoded.
 */
export type Reader = 'run' | 'read' | 'show'

/** Converts values between their plain form and a text that a store keeps. */
export interface PayloadCodec {
  /** How each of its texts begins. */
  readonly prefix: string
  /** Whether `encode` may convert a value now. Otherwise, values are neither copied nor held back before they are stored. */
  readonly active: boolean
  /** Whether stores can compare the data of jobs with a filter. */
  readonly searchable: boolean
  /** Returns a text that begins with the prefix, or `undefined` to store the value as it is. */
  encode(value: unknown, place: PayloadPlace): MaybePromise<string | undefined>
  decode(text: string, place: PayloadPlace, reader: Reader): MaybePromise<unknown>
  /** Called before a worker runs a job. An error refuses the job. */
  claimed?(job: Readonly<JobDraft>): void
}

/** Converts one value. */
export type Leaf = (value: unknown, kind: string) => MaybePromise<unknown>

/** Calls `next` at once with a value, or later with the value of a promise. */
export function after<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}

/** Converts every item. Returns a promise only if one of the conversions does. */
export function mapAll<T, R>(items: readonly T[], convert: (item: T) => MaybePromise<R>): MaybePromise<R[]> {
  const converted = items.map(convert)
  return converted.some(isPromise) ? Promise.all(converted) : (converted as R[])
}

/** Creates the two directions of a codec for the values at one place. */
export function createLeaves(codec: PayloadCodec) {
  return {
    /** @throws QueueError `VALUE_UNSUPPORTED` for a text that readers would take for an encoded one */
    encode:
      (place: Omit<PayloadPlace, 'kind'>): Leaf =>
      (value, kind) =>
        after(codec.encode(value, { ...place, kind }), (text) => {
          if (text !== undefined) return text
          if (typeof value !== 'string' || !value.startsWith(codec.prefix)) return value
          const message = `A text that begins with "${codec.prefix}" cannot be stored, because it looks like an encoded value. Put it into an object.`
          throw new QueueError('VALUE_UNSUPPORTED', message)
        }),
    decode:
      (place: Omit<PayloadPlace, 'kind'>, reader: Reader): Leaf =>
      (value, kind) =>
        typeof value === 'string' && value.startsWith(codec.prefix)
          ? codec.decode(value, { ...place, kind }, reader)
          : value,
  }
}
