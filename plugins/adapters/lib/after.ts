import { QueueError, shown } from '../../../kernel/index.ts'

/**
 * Parses the `after` option of a subscription to one stream. Returns the `seq` after which delivery starts.
 *
 * @throws QueueError `OPTION_INVALID` if `after` is not a `seq`
 */
export function seqAfter(after: number | string): number {
  const seq = typeof after === 'string' && !/^\d+$/.test(after) ? Number.NaN : Number(after)
  if (Number.isSafeInteger(seq) && seq >= 0) return seq
  throw new QueueError('OPTION_INVALID', `"after" must be the seq of an event, or 0; got ${shown(after)}.`)
}
