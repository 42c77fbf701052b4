import { inspect } from 'node:util'
import type { TraceEntry } from './faults.ts'
import type { ChaosFault } from './types.ts'

/** How many lines of what happened are shown. */
const MAX_TRACE = 60

/** Prints a schedule as a test that runs it. */
export function printTest(name: string, schedule: readonly ChaosFault[], options: object): string {
  const others = Object.entries(options).map(([key, value]) => `  ${key}: ${inspect(value)},\n`)
  const faults = schedule.map((fault) => `    ${printFault(fault)},\n`)
  const list = faults.length > 0 ? `[\n${faults.join('')}  ]` : '[]'
  return `await chaos(${name}, {\n${others.join('')}  schedule: ${list},\n})`
}

function printFault(fault: ChaosFault): string {
  return `{ ${Object.entries(fault)
    .map(([key, value]) => `${key}: ${inspect(value)}`)
    .join(', ')} }`
}

/** Prints what happened, one line for each write and each fault. */
export function printTrace(trace: readonly TraceEntry[]): string {
  const shown = trace.filter(({ what }) => !/ _|registry/.test(what))
  const left = shown.length - MAX_TRACE
  const lines = shown.slice(0, MAX_TRACE).map(({ at, process, what }) => {
    return `${String(at).padStart(10)} ms  process ${process}  ${what}`
  })
  return [...lines, ...(left > 0 ? [`  … and ${left} more`] : [])].join('\n')
}
