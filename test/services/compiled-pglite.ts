import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** The types of Node do not have it. */
interface Engine {
  WebAssembly: { compile(program: Uint8Array): Promise<object> }
}

const program = new URL('pglite.wasm', `file://${createRequire(import.meta.url).resolve('@electric-sql/pglite')}`)

/**
 * The program of the embedded database. V8 shares the machine code of a program with all threads of a process while one of them
 * holds it. A database that is opened while nothing holds it is compiled anew, which takes three seconds of processor time.
 */
export const compiledPGlite = await (globalThis as unknown as Engine).WebAssembly.compile(readFileSync(program))
