import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const HERE = import.meta.url
/** Built, this code lies in one of the files below `chunks`, whatever file it was written in. */
const CODE = new URL(/\/chunks\/[^/]+$/.test(HERE) ? '../' : '../../', HERE)
/** Sources run as they are, too. */
const ENDING = HERE.endsWith('.ts') ? '.ts' : '.js'
/** The folder of the package; what is built lies in one below it. */
const PACKAGE = existsSync(new URL('package.json', CODE)) ? CODE : new URL('../', CODE)

/** The path of a program of this package, such as `plugins/runtimes/isolated/child`, beside which all others lie. */
export function programFile(path: string): string {
  return fileURLToPath(new URL(`${path}${ENDING}`, CODE))
}

/** The path of a file that is built as it is, such as `plugins/adapters/pglite/prepared.tar.br`. */
export function codeFile(path: string): string {
  return fileURLToPath(new URL(path, CODE))
}

/** The path of a file that no build touches, such as `python-sdk/src`. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, PACKAGE))
}
