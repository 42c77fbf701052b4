import { fileURLToPath } from 'node:url'
import { join } from 'pathe'

/** The folder of the playground. */
export const PLAYGROUND = fileURLToPath(new URL('..', import.meta.url))

/** 10,000 rows of the wildlife strike database of the FAA. */
export function datasetFile(): string {
  return fileURLToPath(new URL('../data/birdstrikes.csv', import.meta.resolve('vega-datasets')))
}

/** Where a run leaves its files. In a bundle the playground is nowhere, so there `PLAYGROUND_OUTPUT` says where. */
export function outputOf(runId: string, ...path: string[]): string {
  // The caller who starts a run may name it, and `..` is a name as well.
  const folder = encodeURIComponent(runId).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length))
  return join(process.env.PLAYGROUND_OUTPUT ?? join(PLAYGROUND, 'output'), folder, ...path)
}
