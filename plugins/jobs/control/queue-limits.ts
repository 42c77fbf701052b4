import { checkCount, checkDuration, checkKeys, invalid, QueueError } from '../../../kernel/index.ts'
import type { QueueLimitsChange, QueueProvider } from '../../../kernel/index.ts'

/** @throws QueueError `OPTION_INVALID` */
export function checkLimits(change: QueueLimitsChange): QueueLimitsChange {
  checkKeys('setLimits()', change, ['concurrency', 'rate'])
  const { concurrency, rate } = change
  if (concurrency !== undefined && concurrency !== null) checkCount('Option "concurrency" of setLimits()', concurrency)
  if (rate === undefined || rate === null) return change
  checkKeys('Option "rate" of setLimits()', rate, ['limit', 'period'])
  checkCount('Option "rate.limit" of setLimits()', rate.limit)
  checkDuration('Option "rate.period" of setLimits()', rate.period)
  if (rate.period < 1) throw invalid('Option "rate.period" of setLimits()', 'at least 1 millisecond', rate.period)
  return change
}

type WithLimits = QueueProvider & Required<Pick<QueueProvider, 'setLimits' | 'getLimits'>>

/** Returns the adapter if it has limits of queues. @throws QueueError `OPTION_UNSUPPORTED` */
export function withLimits(queue: QueueProvider): WithLimits {
  if (queue.capabilities.queueLimits && queue.setLimits && queue.getLimits) return queue as WithLimits
  const message = 'This queue adapter does not support limits of queues. Use "limits" of a worker, or another adapter.'
  throw new QueueError('OPTION_UNSUPPORTED', message, { details: { option: 'setLimits' } })
}
