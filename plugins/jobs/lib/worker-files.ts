import { existsSync } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, join, relative } from 'pathe'

/** Names of files and folders that are not workers. */
const NO_WORKER =
  /(?:^|\/)(?:[._][^/]*|node_modules(?:\/|$))|\.d\.[cm]?ts$|\.(?:test|spec)\.[cm]?[jt]s$|(?:^|\/)test_[^/]*\.py$|_test\.py$|~$|\.(?:md|json|jsonl|txt|csv|sql|map|pyc)$/

/** Whether a file below a folder of workers is a worker, by its name. */
export function isWorkerFile(folder: string, file: string): boolean {
  return !NO_WORKER.test(relative(folder, file))
}

/** Returns the worker id of a file: `ml/train` for `<folder>/ml/train.ts`. */
export function workerId(folder: string, file: string): string {
  const path = relative(folder, file)
  return path.slice(0, path.length - extname(path).length)
}

/**
 * Returns the files of a folder and its subfolders, in the order of their paths, without hidden files and packages.
 * Returns no files if the folder does not exist. Follows links, because mounted configuration consists of them. A broken
 * link counts as a file, so that loading it reports an error.
 */
export async function filesIn(folder: string): Promise<string[]> {
  return existsSync(folder) ? (await walk(folder, [])).toSorted() : []
}

/** @param above the real paths of the parent folders, because a link may lead back to one of them */
async function walk(folder: string, above: readonly string[]): Promise<string[]> {
  const real = await realpath(folder)
  if (above.includes(real)) return []
  const entries = await readdir(folder)
  const found = entries.map(async (name) => {
    const path = join(folder, name)
    if (name.startsWith('.') || name === 'node_modules') return []
    const about = await stat(path).catch(() => undefined)
    if (about?.isDirectory()) return walk(path, [...above, real])
    return about === undefined || about.isFile() ? [path] : []
  })
  return (await Promise.all(found)).flat()
}

/** A worker that a build has bundled into the application, instead of a file that is read at the start. */
export interface BundledWorker {
  /** The file from which separate processes load the worker. */
  file: string
  load: () => Promise<unknown>
}
