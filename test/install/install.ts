import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { join } from 'pathe'
import { ROOT } from '../e2e/processes.ts'

const run = promisify(execFile)

/**
 * The folders that list the packages to install next to this one: `apps` for applications, `nitro3` for applications of Nitro 3,
 * `tests` for tests of an application with Nuxt's test utils, `alone` none.
 */
export type Install = 'apps' | 'nitro3' | 'tests' | 'alone'

/** Packs the build as `npm publish` does, and stores the archive as `file`. */
export async function pack(file: string): Promise<void> {
  const folder = `${file}.making`
  await mkdir(folder, { recursive: true })
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT })
  const [archive] = await readdir(folder)
  await rename(join(folder, archive!), file)
  await rmdir(folder)
}

/**
 * Installs the archive of the package in an empty folder, like a user, with the versions of the lock file in
 * `test/install/<name>`. No version is resolved, so new releases in the registry change nothing.
 */
export async function installPackage(name: Install, archive: string, folder: string): Promise<void> {
  for (const file of ['package.json', 'package-lock.json']) {
    await copyFile(join(import.meta.dirname, name, file), join(folder, file))
  }
  await copyFile(archive, join(folder, 'nuxt-queue.tgz'))
  await run('npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder })
}
