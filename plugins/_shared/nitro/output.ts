import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'pathe'
import { FILES, WORKER_SCRIPT } from './virtual.ts'
import type { FoundWorkers } from './workers.ts'

/** Puts beside the built server what the bundler does not: workers in other languages and `queue.mjs`. */
export async function completeOutput(serverDir: string, { others }: FoundWorkers): Promise<void> {
  await rm(join(serverDir, FILES), { recursive: true, force: true })
  for (const [path, file] of others) {
    const target = join(serverDir, FILES, path)
    await mkdir(dirname(target), { recursive: true })
    await copyFile(file, target)
  }
  await writeFile(join(serverDir, 'queue.mjs'), WORKER_SCRIPT)
}
