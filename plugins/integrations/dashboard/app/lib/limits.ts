import type { WorkerLimits } from '../../../../lib/worker-limits.ts'
import { formatTick } from './format.ts'

/** Returns the limits of a worker as short texts: `5 in 1 m`, `1 at once per key`, `timeout 30 s`. */
export function limitTexts(limits: WorkerLimits = {}): string[] {
  const { perKey, rate, timeout, singleton, fair, combined = [] } = limits
  return [
    ...(singleton ? ['one at a time in all processes'] : []),
    ...(perKey === undefined ? [] : [`${perKey} at once per key`]),
    ...(rate ? [formatRate(rate) + (rate.byKey ? ' per key' : '')] : []),
    ...combined.map(combinedText),
    ...(fair ? ['keys take turns'] : []),
    ...(timeout === undefined ? [] : [`timeout ${formatTick(timeout)}`]),
  ]
}

function combinedText({ concurrency, rate, byKey, group }: NonNullable<WorkerLimits['combined']>[number]): string {
  const maximum = [concurrency === undefined ? '' : `${concurrency} at once`, rate ? formatRate(rate) : '']
  const scope = [byKey ? ' per key' : '', group === undefined ? '' : ` in the group ${group}`]
  return maximum.filter(Boolean).join(' and ') + scope.join('')
}

/** Returns a rate as a short text: `100 in 1 m`. */
export function formatRate({ limit, period }: { limit: number; period: number }): string {
  return `${limit} in ${formatTick(period)}`
}
