/** Writes the version of `package.json` into the Python SDK. `npm version` runs it. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')

/** Other files that contain the version, and the line of each. */
export const VERSIONS: readonly (readonly [file: string, line: RegExp])[] = [
  ['python-sdk/pyproject.toml', /^version = "(.*)"$/m],
  ['python-sdk/src/nuxt_queue/__init__.py', /^__version__ = "(.*)"$/m],
]

if (import.meta.main) {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  for (const [file, line] of VERSIONS) {
    const text = await readFile(join(ROOT, file), 'utf8')
    await writeFile(
      join(ROOT, file),
      text.replace(line, (found, old: string) => found.replace(old, version)),
    )
  }
}
