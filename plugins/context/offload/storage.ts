import { mkdir, open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'pathe'
import { PRIVATE_FILE, PRIVATE_FOLDER } from '../../lib/private-folder.ts'

/** Where large values are stored: the part of a storage of `unstorage` that is used. */
export interface OffloadStorage {
  setItemRaw(key: string, value: Uint8Array): Promise<unknown>
  /** Resolves with `null` if there is no such item. */
  getItemRaw(key: string): Promise<unknown>
  removeItem(key: string): Promise<unknown>
  /** Resolves with all keys. */
  getKeys(base?: string): Promise<string[]>
}

/** Keeps values in files. A file appears under its name only when it is complete and on the disk. */
export function createFolder(path: string): OffloadStorage {
  const fileOf = (key: string): string => join(path, ...key.split(':'))

  return {
    async setItemRaw(key, value) {
      const file = fileOf(key)
      await mkdir(dirname(file), { recursive: true, mode: PRIVATE_FOLDER })
      // A file that an interrupted upload leaves has a key as well, so the sweep finds it.
      const partial = `${file}.part`
      const handle = await open(partial, 'w', PRIVATE_FILE)
      try {
        await handle.writeFile(value)
        await handle.datasync()
      } finally {
        await handle.close()
      }
      await rename(partial, file)
    },
    getItemRaw: (key) => readFile(fileOf(key)).catch(ignoreMissing),
    async removeItem(key) {
      const file = fileOf(key)
      await rm(file, { force: true })
      // Succeeds once the folder of the run is empty.
      await rmdir(dirname(file)).catch(() => {})
    },
    async getKeys() {
      const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(ignoreMissing)
      return (entries ?? [])
        .filter((entry) => entry.isFile())
        .map((entry) => `${entry.parentPath.slice(path.length + 1).replaceAll(/[/\\]/g, ':')}:${entry.name}`)
    },
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}
