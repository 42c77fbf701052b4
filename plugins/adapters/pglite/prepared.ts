import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { brotliDecompress } from 'node:zlib'
import { codeFile } from '../../lib/package-files.ts'

/**
 * The compressed archive of an empty PGlite database. Unpacking it takes a third of the time that creating a database
 * takes. `npm run prepare-embedded` makes it for the many databases of this repository's tests. It is not part of the package,
 * which would be three times as large with it.
 */
export const PREPARED = codeFile('plugins/adapters/pglite/prepared.tar.br')

/** Returns the archive as a tar file, or `undefined` if there is none. */
export async function readPrepared(): Promise<Blob | undefined> {
  if (!existsSync(PREPARED)) return undefined
  return new Blob([await promisify(brotliDecompress)(await readFile(PREPARED))])
}
