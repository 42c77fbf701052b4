import { extname, join } from 'pathe'
import { filesIn, isWorkerFile, workerId } from '../../../jobs/lib/worker-files.ts'

/** The files that the bundler reads. A runtime loads other files from the disk. */
const BUNDLED: ReadonlySet<string> = new Set(['.ts', '.mts', '.js', '.mjs'])

export interface WorkerFile {
  id: string
  file: string
  bundled: boolean
}

/** The files in the folders of workers. If two files have the same id, the file in the earlier folder is used. */
export interface FoundWorkers {
  workers: WorkerFile[]
  /** Files next to workers that are not bundled, by their path below the folder. These workers may read them. */
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

/** Returns the folders of workers: `queues` below every folder of the server's sources. */
export function workerFolders(scanDirs: readonly string[], rootDir: string): string[] {
  return [...new Set([...scanDirs.map((dir) => join(dir, 'queues')), join(rootDir, 'server/queues')])]
}

function isRubbish(path: string): boolean {
  return /(?:^|\/)(?:__pycache__|\.[^/]*)(?:\/|$)|\.d\.[cm]?ts$|\.(?:pyc|map)$/.test(path)
}
