import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { brotliDecompress } from 'node:zlib'
import { codeFile } from '../../lib/package-files.ts'

/**
 * The compressed archive of an empty PGlite database. Unpacking it takes a third of the time that creating a database
 * takes. Brotli compresses its 42 MB to 2 MB; gzip would need 5 MB in the package.
 */
export const PREPARED = codeFile('plugins/adapters/pglite/prepared.tar.br')

/** Returns the archive as a tar file, or `undefined` if the build did not create one. */
export async function readPrepared(): Promise<Blob | undefined> {
  if (!existsSync(PREPARED)) return undefined
  return new Blob([await promisify(brotliDecompress)(await readFile(PREPARED))])
}
