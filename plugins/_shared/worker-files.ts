import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { extname, join, relative } from 'pathe'

/** Files that may lie beside workers without being any. */
const NO_WORKER =
  /(?:^|\/)[._][^/]*|\.d\.[cm]?ts$|\.(?:test|spec)\.[cm]?[jt]s$|(?:^|\/)test_[^/]*\.py$|_test\.py$|\.(?:md|json|jsonl|txt|csv|sql|map|pyc)$/

/** Whether a path below a folder of workers is one, by its name. */
export function isWorkerFile(folder: string, file: string): boolean {
  return !NO_WORKER.test(relative(folder, file))
}

/** `ml/train` for `<folder>/ml/train.ts`. */
export function workerId(folder: string, file: string): string {
  const path = relative(folder, file)
  return path.slice(0, path.length - extname(path).length)
}

/** The files of a folder and those below it, in the order of their paths; none when it is not there. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = existsSync(folder) ? await readdir(folder, { recursive: true, withFileTypes: true }) : []
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .toSorted()
}

/** A worker that a build has put into the application, in place of a file that is read at the start. */
export interface BundledWorker {
  /** Where processes of its own load it from. */
  file: string
  load: () => Promise<unknown>
}
