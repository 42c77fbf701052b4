import { existsSync, watch } from 'node:fs'
import { join } from 'pathe'
import type { Reporter } from '../../kernel/index.ts'

/** Changes of a file within this many milliseconds count as one, because editors save a file in several writes. */
const SETTLE_TIME = 50

/** Calls `onChange` with each file that changed, one at a time. Returns a function that stops watching. */
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

  const watchers = folders
    .filter((folder) => existsSync(folder))
    .map((folder) => watch(folder, { recursive: true }, (_event, name) => name && changed(join(folder, name))))
  return () => {
    for (const watcher of watchers) watcher.close()
    for (const timer of timers.values()) clearTimeout(timer)
  }
}
