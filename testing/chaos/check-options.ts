import { shown } from '../../kernel/index.ts'
import { FAULT_KINDS } from './generate.ts'
import type { ChaosOptions, ChaosTest } from './types.ts'

const OPTIONS = ['seed', 'runs', 'schedule', 'faults', 'maxFaults', 'processes', 'limit']

/** @throws TypeError that says what was expected */
export function checkChaosOptions(test: ChaosTest, options: ChaosOptions): void {
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
  if (!Number.isFinite(options.seed ?? 1)) {
    throw new TypeError(`Option "seed" of chaos() must be a finite number; got ${String(options.seed)}.`)
  }
  for (const key of ['faults', 'schedule'] as const) {
    if (options[key] === undefined || Array.isArray(options[key])) continue
    throw new TypeError(`Option "${key}" of chaos() must be an array; got ${shown(options[key])}.`)
  }
  const option = Object.keys(options).find((key) => !OPTIONS.includes(key))
  if (option !== undefined) {
    throw new TypeError(`chaos() has no option "${option}". It has: ${OPTIONS.join(', ')}.`)
  }
  const unknown = [...(options.faults ?? []), ...(options.schedule ?? []).map(({ fault }) => fault)].find(
    (kind) => !FAULT_KINDS.includes(kind),
  )
  if (unknown === undefined && options.faults?.length !== 0) return
  throw new TypeError(`Faults of chaos() are ${FAULT_KINDS.join(', ')}; got ${unknown ?? 'an empty list'}.`)
}
