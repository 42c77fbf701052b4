import { fileURLToPath } from 'node:url'
import { join } from 'pathe'

/** The folder of the playground. */
export const PLAYGROUND = fileURLToPath(new URL('..', import.meta.url))

/** 10,000 rows of the wildlife strike database of the FAA. */
export const DATASET = fileURLToPath(new URL('../data/birdstrikes.csv', import.meta.resolve('vega-datasets')))

/** Where a run leaves its files. */
export function outputOf(runId: string, ...path: string[]): string {
  return join(PLAYGROUND, 'output', runId, ...path)
}
