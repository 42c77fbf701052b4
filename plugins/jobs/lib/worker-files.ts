import { existsSync } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { extname, join, relative } from 'pathe'

/** Files that may lie beside workers without being any. */
const NO_WORKER =
  /(?:^|\/)(?:[._][^/]*|node_modules(?:\/|$))|\.d\.[cm]?ts$|\.(?:test|spec)\.[cm]?[jt]s$|(?:^|\/)test_[^/]*\.py$|_test\.py$|\.(?:md|json|jsonl|txt|csv|sql|map|pyc)$/

/** Whether a path below a folder of workers is one, by its name. */
export function isWorkerFile(folder: string, file: string): boolean {
  return !NO_WORKER.test(relative(folder, file))
}

/** `ml/train` for `<folder>/ml/train.ts`. */
export function workerId(folder: string, file: string): string {
  const path = relative(folder, file)
  return path.slice(0, path.length - extname(path).length)
}

/**
 * The files of a folder and those below it, in the order of their paths, without hidden ones and packages; none when
 * it is not there. Links count as what they lead to, since mounted configuration consists of them; one that leads nowhere counts
 * as a file, so that somebody reports it.
 */
export async function filesIn(folder: string): Promise<string[]> {
  return existsSync(folder) ? (await walk(folder, [])).toSorted() : []
}

/** @param above the real paths of the folders above, since links may lead back to one of them */
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

/** A worker that a build has put into the application, in place of a file that is read at the start. */
export interface BundledWorker {
  /** Where processes of its own load it from. */
  file: string
  load: () => Promise<unknown>
}
