import { existsSync, watch, type FSWatcher } from 'node:fs'
import { dirname, join } from 'pathe'
import type { Reporter } from '../../kernel/index.ts'

/** Changes of a file within this many milliseconds count as one, because editors save a file in several writes. */
const SETTLE_TIME = 50

/**
 * Calls `onChange` with each file or folder that changed, one at a time. A folder that does not exist yet is watched as soon as it does.
 * Returns a function that stops watching.
 */
export function watchFolders(
  folders: readonly string[],
  onChange: (file: string) => Promise<void>,
  reporter: Reporter,
): () => void {
  const timers = new Map<string, NodeJS.Timeout>()
  let busy = Promise.resolve()

  function changed(file: string): void {
    clearTimeout(timers.get(file))
    const timer = setTimeout(() => {
      timers.delete(file)
      busy = busy
        .then(() => onChange(file))
        .catch((error: unknown) => reporter.error(`${file} could not be reloaded.`, error))
    }, SETTLE_TIME)
    timers.set(file, timer)
  }

  const watchers = new Map<string, FSWatcher>()

  function follow(folder: string): void {
    watchers.get(folder)?.close()
    if (existsSync(folder)) {
      watchers.set(
        folder,
        watch(folder, { recursive: true }, (_event, name) => name && changed(join(folder, name))),
      )
      return
    }
    const parent = nearest(folder)
    const look = (): void => {
      if (nearest(folder) === parent) return
      follow(folder)
      if (existsSync(folder)) changed(folder)
    }
    watchers.set(folder, watch(parent, look))
    // The folder may have been made before the watcher was.
    look()
  }

  folders.forEach(follow)
  return () => {
    for (const watcher of watchers.values()) watcher.close()
    for (const timer of timers.values()) clearTimeout(timer)
  }
}

/** Returns the path itself if it exists, or else the nearest folder above it. */
function nearest(path: string): string {
  return existsSync(path) ? path : nearest(dirname(path))
}
