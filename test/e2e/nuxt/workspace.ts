import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { lockFolder } from '../../../plugins/adapters/lib/folder/lock.ts'
import { installPackage, pack, type Install } from '../../install/install.ts'
import { ROOT } from '../processes.ts'

/** A timeout for a slow and busy machine. */
const INSTALL_TIMEOUT = 600_000
const KEEP = 24 * 60 * 60 * 1000

/**
 * A folder in which this package is packed and installed as by a user. It is outside of this repository,
 * so that a missing dependency is not found here by accident. Created once for each state of the build, and kept.
 */
export async function workspace(kind: Install): Promise<string> {
  const lockFile = await readFile(join(ROOT, 'test/install', kind, 'package-lock.json'))
  const name = `nuxt-queue-apps-${kind}-${await fingerprint(lockFile)}`
  return makeOnce(join(tmpdir(), name), async (folder) => install(kind, folder))
}

/** Returns the archive of this package. It is made once for each state of the build, and kept. */
export async function archive(): Promise<string> {
  return makeOnce(join(tmpdir(), `nuxt-queue-apps-archive-${await fingerprint('')}.tgz`), pack)
}

/** Makes a file or a folder unless another process has made it. */
async function makeOnce(path: string, make: (path: string) => Promise<void>): Promise<string> {
  const lock = await lockFolder(`${path}.lock`, INSTALL_TIMEOUT)
  try {
    if (!existsSync(path)) await make(path)
  } finally {
    lock.release()
  }
  return path
}

/** A folder for an application in the workspace with the packages of an install. */
export async function appFolder(name: string, kind: Install = 'apps'): Promise<string> {
  return mkdtemp(join(await workspace(kind), `${name}-`))
}

async function install(kind: Install, folder: string): Promise<void> {
  await removeOld()
  const making = `${folder}.making`
  await rm(making, { recursive: true, force: true })
  await mkdir(making, { recursive: true })
  await installPackage(kind, await archive(), making)
  await rename(making, folder)
}

/** Folders of earlier builds. */
async function removeOld(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith('nuxt-queue-apps-'))
  for (const folder of names.map((name) => join(tmpdir(), name))) {
    const age = Date.now() - (await stat(folder)).mtimeMs
    if (age > KEEP) await rm(folder, { recursive: true, force: true })
  }
}

/** Identifies the state of the build, and what else an install depends on. */
async function fingerprint(other: string | Buffer): Promise<string> {
  const hash = createHash('sha256')
    .update(await readFile(join(ROOT, 'package.json')))
    .update(other)
  const files = await readdir(join(ROOT, 'dist'), { recursive: true, withFileTypes: true })
  const paths = files.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  for (const path of paths.toSorted()) hash.update(path).update(await readFile(path))
  return hash.digest('hex').slice(0, 16)
}
