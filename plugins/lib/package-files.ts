import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const HERE = import.meta.url
/** The root folder of the code. In the build, this module is part of a file in `chunks`. */
const CODE = new URL(/\/chunks\/[^/]+$/.test(HERE) ? '../' : '../../', HERE)
/** Node.js can run the sources directly, so programs end in `.ts` there. */
const ENDING = HERE.endsWith('.ts') ? '.ts' : '.js'
/** The root folder of the package. The build is a folder below it. */
const PACKAGE = existsSync(new URL('package.json', CODE)) ? CODE : new URL('../', CODE)

/** Returns the path of a program of this package, given without extension: `plugins/runtimes/isolated/child`. */
export function programFile(path: string): string {
  return fileURLToPath(new URL(`${path}${ENDING}`, CODE))
}

/** Returns the path of a file that the build copies, such as `plugins/adapters/pglite/prepared.tar.br`. */
export function codeFile(path: string): string {
  return fileURLToPath(new URL(path, CODE))
}

/** Returns the path of a file that is not part of the build, such as `python-sdk/src`. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, PACKAGE))
}
