/**
 * The site of the documentation. `npm run docs` shows it while you write, `npm run docs:build` builds it and fails on a link that
 * leads nowhere. Installs the dependencies of the site when it first runs, from a separate lock file.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'pathe'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TOOLS = join(ROOT, 'tools/docs')

function run(program: string, args: readonly string[], cwd = ROOT): void {
  const { status } = spawnSync(program, args, { cwd, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

if (!existsSync(join(TOOLS, 'node_modules/vitepress'))) run('npm', ['ci', '--no-audit', '--no-fund'], TOOLS)
run(process.execPath, ['scripts/reference.ts', ...(process.argv[2] === 'build' ? ['--check'] : [])])
run(process.execPath, [join(TOOLS, 'node_modules/vitepress/bin/vitepress.js'), process.argv[2] ?? 'dev', 'docs'])
