import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { join } from 'pathe'
import { lockFolder } from '../../../plugins/_shared/folder/lock.ts'
import { ROOT } from '../processes.ts'

const run = promisify(execFile)

/** What users install beside this package, in the versions that it is developed with. */
const BESIDE = [
  ...['nuxt', 'nitropack', 'bullmq', 'ioredis', 'pg', 'pg-boss', 'zod', 'typescript', '@types/node'],
  // What the playground needs.
  ...['csv-parse', 'vega-datasets', 'pathe', 'vue'],
]
const INSTALL_TIMEOUT = 120_000
const KEEP = 24 * 60 * 60 * 1000

/**
 * A folder with this package, packed and installed as a user would. It is far from this repository,
 * so that nothing is found here that would be missing there. Made once for what is built, and kept.
 */
async function workspace(): Promise<string> {
  const folder = join(tmpdir(), `nuxt-queue-apps-${await fingerprint()}`)
  const lock = await lockFolder(`${folder}.lock`, INSTALL_TIMEOUT)
  try {
    if (!existsSync(folder)) await install(folder)
  } finally {
    lock.release()
  }
  return folder
}

/** A folder for an application in the workspace. */
export async function appFolder(name: string): Promise<string> {
  return mkdtemp(join(await workspace(), `${name}-`))
}

async function install(folder: string): Promise<void> {
  await removeOld()
  const making = `${folder}.making`
  await rm(making, { recursive: true, force: true })
  await mkdir(making, { recursive: true })
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', making], { cwd: ROOT })
  const tarball = (await readdir(making)).find((name) => name.endsWith('.tgz'))
  const { dependencies, devDependencies, overrides } = manifest()
  const versions = BESIDE.map((name) => [name, devDependencies[name] ?? dependencies[name]])
  const own = {
    private: true,
    type: 'module',
    dependencies: Object.fromEntries([...versions, ['nuxt-queue', `file:./${tarball!}`]]) as object,
    overrides,
  }
  await writeFile(join(making, 'package.json'), JSON.stringify(own, undefined, 2))
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: making })
  await rename(making, folder)
}

/** Those of builds that are long gone. */
async function removeOld(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith('nuxt-queue-apps-'))
  for (const folder of names.map((name) => join(tmpdir(), name))) {
    const age = Date.now() - (await stat(folder)).mtimeMs
    if (age > KEEP) await rm(folder, { recursive: true, force: true })
  }
}

function manifest() {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'devDependencies' | 'overrides',
    Record<string, string>
  >
}

/** Tells one state of what is built from another. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256')
    .update(BESIDE.join())
    .update(await readFile(join(ROOT, 'package.json')))
  const files = await readdir(join(ROOT, 'dist'), { recursive: true, withFileTypes: true })
  const paths = files.filter((file) => file.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  for (const path of paths.toSorted()) hash.update(path).update(await readFile(path))
  return hash.digest('hex').slice(0, 16)
}
