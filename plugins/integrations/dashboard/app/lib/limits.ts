import type { Worker } from '../api/types.ts'
import { formatTick } from './format.ts'

/** Returns the limits of a worker as short texts: `5 in 1 m`, `1 per key`, `timeout 30 s`. */
export function limitTexts({ perKey, rate, timeout }: NonNullable<Worker['limits']> = {}): string[] {
  return [
    ...(perKey === undefined ? [] : [`${perKey} at once per key`]),
    ...(rate ? [`${rate.limit} in ${formatTick(rate.period)}${rate.byKey ? ' per key' : ''}`] : []),
    ...(timeout === undefined ? [] : [`timeout ${formatTick(timeout)}`]),
  ]
}
