import { fileURLToPath } from 'node:url'
import { join } from 'pathe'

/** The folder of the playground. */
export const PLAYGROUND = fileURLToPath(new URL('..', import.meta.url))

/** 10,000 rows of the wildlife strike database of the FAA. */
export function datasetFile(): string {
  return fileURLToPath(new URL('../data/birdstrikes.csv', import.meta.resolve('vega-datasets')))
}

/** Returns the path of an output file of a run. A bundle does not contain the folder of the playground, so it needs `PLAYGROUND_OUTPUT`. */
export function outputOf(runId: string, ...path: string[]): string {
  // The caller chooses the id of a run, and `..` is a valid id.
  const folder = encodeURIComponent(runId).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length))
  return join(process.env.PLAYGROUND_OUTPUT ?? join(PLAYGROUND, 'output'), folder, ...path)
}
