import { execFile } from 'node:child_process'
import { copyFile, readdir, rename } from 'node:fs/promises'
import { promisify } from 'node:util'
import { join } from 'pathe'
import { ROOT } from '../e2e/processes.ts'

const run = promisify(execFile)

/**
 * The folders here that say what stands beside this package: `apps` what applications need, `nitro3` what those of Nitro 3
 * need, `tests` what tests of an application with Nuxt's test utils need, `alone` nothing.
 */
export type Install = 'apps' | 'nitro3' | 'tests' | 'alone'

/**
 * Packs what is built and installs it in an empty folder, as users do, with the versions of the lock file in
 * `test/install/<name>`. Nothing is resolved: what the registry has got meanwhile changes nothing.
 */
export async function installPackage(name: Install, folder: string): Promise<void> {
  for (const file of ['package.json', 'package-lock.json']) {
    await copyFile(join(import.meta.dirname, name, file), join(folder, file))
  }
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT })
  const tarball = (await readdir(folder)).find((file) => file.endsWith('.tgz'))!
  await rename(join(folder, tarball), join(folder, 'nuxt-queue.tgz'))
  await run('npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder })
}
