import { copyFile, cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'pathe'
import { codeFile, packageFile } from '../../../lib/package-files.ts'
import { FILES, WORKER_SCRIPT } from './app-module.ts'
import type { FoundWorkers } from './workers.ts'

const SDK = 'python-sdk/src'
/** The files of the dashboard. */
const PAGES = 'plugins/integrations/dashboard/ui'

/** Writes the files that the bundler does not: workers in other languages and `queue.mjs`. */
export async function completeOutput(serverDir: string, { others }: FoundWorkers): Promise<void> {
  const files = join(serverDir, FILES)
  await rm(files, { recursive: true, force: true })
  for (const [path, file] of others) {
    await mkdir(dirname(join(files, path)), { recursive: true })
    await copyFile(file, join(files, path))
  }
  await writeFile(join(serverDir, 'queue.mjs'), WORKER_SCRIPT)
  await completePackage(join(serverDir, 'node_modules'), others)
}

/** The files that this package reads in addition to its code. */
async function completePackage(modules: string, others: FoundWorkers['others']): Promise<void> {
  const own = join(modules, 'nuxt-queue')
  await cp(codeFile(PAGES), join(own, 'dist', PAGES), { recursive: true })
  const python = [...others.keys()].some((path) => path.endsWith('.py'))
  if (python) {
    const filter = (path: string): boolean => !path.endsWith('__pycache__')
    await cp(packageFile(SDK), join(own, SDK), { recursive: true, filter })
  }
}
