import { existsSync, openAsBlob } from 'node:fs'
import { codeFile } from '../_shared/package-files.ts'

/** An empty database as PGlite packs it: unpacking takes a third of the time that making one takes. */
export const PREPARED = codeFile('plugins/pglite/prepared.tar.gz')

/** The archive, where the build has put one. */
export async function readPrepared(): Promise<Blob | undefined> {
  return existsSync(PREPARED) ? openAsBlob(PREPARED) : undefined
}
