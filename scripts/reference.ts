/**
 * Writes the pages of the reference that follow from the sources: `node scripts/reference.ts`. With `--check`, it only checks
 * whether they are up to date.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'pathe'
import { cli } from './reference/cli.ts'
import { config } from './reference/config.ts'
import { errors } from './reference/errors.ts'
import { events } from './reference/events.ts'
import { http } from './reference/http.ts'
import { python } from './reference/python.ts'
import { ROOT } from './reference/source.ts'
import { context, hooks, jobOptions, methods, ports, workerOptions } from './reference/types.ts'

const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/reference/config.md': config,
  'docs/reference/job-options.md': jobOptions,
  'docs/reference/worker-options.md': workerOptions,
  'docs/reference/context.md': context,
  'docs/reference/methods.md': methods,
  'docs/reference/hooks.md': hooks,
  'docs/reference/ports.md': ports,
  'docs/reference/events.md': events,
  'docs/reference/errors.md': errors,
  'docs/reference/http.md': http,
  'docs/reference/cli.md': cli,
  'docs/reference/python.md': python,
}

const stale: string[] = []
for (const [file, make] of Object.entries(PAGES)) {
  const text = await make()
  const path = join(ROOT, file)
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
  if (process.argv.includes('--check')) stale.push(file)
  else writeFileSync(path, text)
}
if (stale.length > 0) {
  process.stderr.write(`These pages are out of date: ${stale.join(', ')}. Run: node scripts/reference.ts\n`)
  process.exitCode = 1
}
