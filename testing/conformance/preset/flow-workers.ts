import type { Handler, Worker } from './rig.ts'

type Step = { subscribes: string | string[]; [option: string]: unknown }

/** Creates the entry of the flow `f`. */
export const entry = (handler: Handler, config: object = {}): Worker => [
  { flow: { name: 'f', role: 'entry' }, ...config },
  handler,
]

/** Creates a step of the flow `f`. */
export const step = (flow: Step, handler: Handler, config: object = {}): Worker => [
  { flow: { name: 'f', role: 'step', ...flow }, ...config },
  handler,
]

/** Creates the compensation of a step of the flow `f`. */
export const undo = (compensates: string, handler: Handler): Worker => [
  { flow: { name: 'f', role: 'compensation', compensates } },
  handler,
]

export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
