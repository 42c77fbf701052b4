import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { dirname } from 'pathe'
import type { WorkerConfig } from '../../../kernel/index.ts'
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../../lib/private-folder.ts'

interface Entry {
  config: WorkerConfig
  /** The files it depends on, with what they held. */
  sources: Record<string, string>
}

/**
 * The configs of Python workers by what their files hold. It is only a cache: what cannot be read is made again.
 *
 * @param file where it is kept; `undefined` where no folder is safe from other users, so that nothing is kept
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
    /** One write after another; a folder that cannot be written to is no reason to fail. */
    put(entries: readonly ((Entry & { file: string }) | undefined)[], print: string): Promise<void> {
      writing = writing.then(() => write(entries, print)).catch(() => {})
      return writing
    },
  }
}

/** What the files hold, as far as it matters whether that changes. */
export async function hashes(files: readonly string[]): Promise<Record<string, string>> {
  const pairs = files.map(async (file) => {
    const content = await readFile(file).catch(() => '')
    return [file, createHash('sha256').update(content).digest('hex')] as const
  })
  return Object.fromEntries(await Promise.all(pairs))
}
