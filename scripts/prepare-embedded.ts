/**
 * Creates the archive with which the embedded database starts for the first time, including its tables, unless the existing archive is
 * up to date. Copies it to the build, except with `--no-copy`.
 */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants } from 'node:zlib'
import { PGlite } from '@electric-sql/pglite'
import { dirname, join } from 'pathe'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ARCHIVE = join(ROOT, 'plugins/adapters/pglite/prepared.tar.br')
const BUILT = join(ROOT, 'dist/plugins/adapters/pglite/prepared.tar.br')

/** The window covers the distance of repetitions. This quality takes seconds instead of a minute. */
const SETTINGS = { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: 24 }

/** Returns a hash of everything that the archive depends on. */
function inputs(): string {
  const packages = ['@electric-sql/pglite', 'pg-boss'].map((name) => join(ROOT, 'node_modules', name, 'package.json'))
  const sources = globSync('plugins/adapters/postgres/{queue,events}/{schema,sql-}*.ts', { cwd: ROOT }).map((name) =>
    join(ROOT, name),
  )
  const hash = createHash('sha256')
  for (const file of [...packages, ...sources.toSorted()]) hash.update(readFileSync(file))
  return hash.digest('hex')
}

async function make(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nuxt-queue-pglite-'))
  rmSync(ARCHIVE, { force: true })
  try {
    // The sources, because this may run while the package is built.
    const { createKernel } = await import('../index.ts')
    const config = { embedded: { path: folder }, registry: { dirs: [] }, setupTimeout: 120_000 }
    const kernel = await createKernel({ preset: 'embedded', config })
    await kernel.close()
    const db = new PGlite({ dataDir: join(folder, 'data') })
    await db.waitReady
    const archive = await db.dumpDataDir('none')
    await writeFile(
      `${ARCHIVE}.part`,
      await promisify(brotliCompress)(await archive.arrayBuffer(), { params: SETTINGS }),
    )
    await db.close()
    await rename(`${ARCHIVE}.part`, ARCHIVE)
    await writeFile(`${ARCHIVE}.key`, inputs())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const upToDate =
  existsSync(`${ARCHIVE}.key`) && existsSync(ARCHIVE) && readFileSync(`${ARCHIVE}.key`, 'utf8') === inputs()
if (!upToDate) await make()
if (!process.argv.includes('--no-copy')) {
  mkdirSync(dirname(BUILT), { recursive: true })
  copyFileSync(ARCHIVE, BUILT)
}
