import { extname, join } from 'pathe'
import { filesIn, isWorkerFile, workerId } from '../../../jobs/lib/worker-files.ts'

/** What the bundler reads; all else is left to a runtime, which loads it from the disk. */
const BUNDLED: ReadonlySet<string> = new Set(['.ts', '.mts', '.js', '.mjs'])

export interface WorkerFile {
  id: string
  file: string
  bundled: boolean
}

/** What lies in the folders of workers. Of two files for one id the one in the earlier folder counts. */
export interface FoundWorkers {
  workers: WorkerFile[]
  /** Files beside the workers that those which are not bundled may read, by their path below the folder. */
  others: Map<string, string>
}

/** Finds the workers of an application and of its layers. */
export async function findWorkers(folders: readonly string[]): Promise<FoundWorkers> {
  const workers = new Map<string, WorkerFile>()
  const others = new Map<string, string>()
  for (const folder of folders) {
    for (const file of await filesIn(folder)) {
      const path = file.slice(folder.length + 1)
      const bundled = BUNDLED.has(extname(file))
      if (!bundled && !isRubbish(path) && !others.has(path)) others.set(path, file)
      const id = workerId(folder, file)
      if (isWorkerFile(folder, file) && !workers.has(id)) workers.set(id, { id, file, bundled })
    }
  }
  return { workers: [...workers.values()], others }
}

/** Where workers lie: `queues` below every folder that the server's sources are in. */
export function workerFolders(scanDirs: readonly string[], rootDir: string): string[] {
  return [...new Set([...scanDirs.map((dir) => join(dir, 'queues')), join(rootDir, 'server/queues')])]
}

function isRubbish(path: string): boolean {
  return /(?:^|\/)(?:__pycache__|\.[^/]*)(?:\/|$)|\.d\.[cm]?ts$|\.(?:pyc|map)$/.test(path)
}
