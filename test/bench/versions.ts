import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { resolve } = createRequire(import.meta.url)

/** The names by which benches call a library, where its package has another one. */
const PACKAGES: Readonly<Record<string, string>> = { BullMQ: 'bullmq' }

/** The version of an installed library, or `undefined` if there is no package of this name. */
export function versionOf(library: string): string | undefined {
  const name = PACKAGES[library] ?? library
  if (!/^[a-z][a-z-]*$/.test(name)) return undefined
  const folder = resolve.paths(name)?.find((path) => existing(`${path}/${name}/package.json`) !== undefined)
  return folder && (JSON.parse(existing(`${folder}/${name}/package.json`)!) as { version: string }).version
}

function existing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
