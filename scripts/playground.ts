/**
 * Starts the Nuxt application of the playground for development, and next to it a server with a varied load for the dashboard.
 * Accepts the options of `nuxt dev`.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { dirname, join } from 'pathe'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const APP = join(ROOT, 'playground/nuxt')

// Links this package into the folder in which the application would install it.
const link = join(APP, 'node_modules/nuxt-queue')
mkdirSync(dirname(link), { recursive: true })
rmSync(link, { recursive: true, force: true })
symlinkSync(ROOT, link, 'junction')

const nuxt = join(dirname(createRequire(import.meta.url).resolve('nuxt/package.json')), 'bin/nuxt.mjs')
// The load of the dashboard runs in a separate process, so that the page of the application shows only its own runs.
const load = spawn(process.execPath, [join(ROOT, 'playground/dashboard/main.ts')], { stdio: 'inherit' })
const child = spawn(process.execPath, [nuxt, 'dev', APP, ...process.argv.slice(2)], { stdio: 'inherit' })
// A terminal sends the interrupt to both processes, so this one waits for the child.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => child.kill())
child.on('close', (code) => {
  load.kill()
  process.exitCode = code ?? 1
})
