import { FAULT_KINDS } from './generate.ts'
import type { ChaosOptions, ChaosTest } from './types.ts'

/** @throws TypeError that says what was expected */
export function checkOptions(test: ChaosTest, options: ChaosOptions): void {
  if (typeof test !== 'function') {
    throw new TypeError(
      `chaos() expects a function that returns the scenario of a run as its first argument; got ${typeof test}.`,
    )
  }
  for (const key of ['runs', 'maxFaults', 'processes'] as const) {
    const value = options[key]
    if (value === undefined || (Number.isInteger(value) && value >= 1)) continue
    throw new TypeError(`Option "${key}" of chaos() must be a whole number of at least 1; got ${String(value)}.`)
  }
  const unknown = [...(options.faults ?? []), ...(options.schedule ?? []).map(({ fault }) => fault)].find(
    (kind) => !FAULT_KINDS.includes(kind),
  )
  if (unknown === undefined && options.faults?.length !== 0) return
  throw new TypeError(`Faults of chaos() are ${FAULT_KINDS.join(', ')}; got ${unknown ?? 'an empty list'}.`)
}
