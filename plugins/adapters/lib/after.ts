import { QueueError, shown } from '../../../kernel/index.ts'

/**
 * Where to follow one stream from, as a number.
 *
 * @throws QueueError `OPTION_INVALID` for what is no `seq`
 */
export function seqAfter(after: number | string): number {
  const seq = typeof after === 'string' && !/^\d+$/.test(after) ? Number.NaN : Number(after)
  if (Number.isSafeInteger(seq) && seq >= 0) return seq
  throw new QueueError('OPTION_INVALID', `"after" is the seq of an event, or 0; got ${shown(after)}.`)
}
