import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { dirname } from 'pathe'
import type { WorkerConfig } from '../../../kernel/index.ts'
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../../lib/private-folder.ts'

interface Entry {
  config: WorkerConfig
  /** The files that the config depends on, with the hashes of their contents. */
  sources: Record<string, string>
}

/**
 * Caches the configs of Python workers. A config is valid while the contents of its files stay the same. If the cache
 * cannot be read, the configs are read from Python again.
 *
 * @param file the file of the cache, or `undefined` for memory only, when no folder is safe from other users
 */
export function createDescriptionCache(file: string | undefined) {
  let reading: Promise<Record<string, Entry & { print: string }>> | undefined
  let writing: Promise<void> = Promise.resolve()

  const read = (): NonNullable<typeof reading> =>
    (reading ??= (file === undefined ? Promise.resolve('{}') : readFile(file, 'utf8'))
      .then((text) => JSON.parse(text) as Record<string, Entry & { print: string }>)
      .catch(() => ({})))

  async function write(entries: readonly ((Entry & { file: string }) | undefined)[], print: string): Promise<void> {
    const all = await read()
    for (const entry of entries) {
      if (entry) all[entry.file] = { config: entry.config, sources: entry.sources, print }
    }
    if (file === undefined) return
    const draft = `${file}.${randomUUID()}`
    await mkdir(dirname(file), { recursive: true, mode: PRIVATE_FOLDER })
    await writeFile(draft, JSON.stringify(all), { flag: 'wx', mode: PRIVATE_FILE })
    await rename(draft, file)
  }

  return {
    async get(worker: string, print: string): Promise<WorkerConfig | undefined> {
      const entry = (await read())[worker]
      if (entry?.print !== print) return undefined
      return isDeepStrictEqual(await hashes(Object.keys(entry.sources)), entry.sources) ? entry.config : undefined
    },
    /** Stores configs, one write at a time. Ignores errors, because the cache is optional. */
    put(entries: readonly ((Entry & { file: string }) | undefined)[], print: string): Promise<void> {
      writing = writing.then(() => write(entries, print)).catch(() => {})
      return writing
    },
  }
}

/** Returns the hash of each file's content. */
export async function hashes(files: readonly string[]): Promise<Record<string, string>> {
  const pairs = files.map(async (file) => {
    const content = await readFile(file).catch(() => '')
    return [file, createHash('sha256').update(content).digest('hex')] as const
  })
  return Object.fromEntries(await Promise.all(pairs))
}
