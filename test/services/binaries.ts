import { execFileSync } from 'node:child_process'
import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'pathe'

/** The folders of distributions for programs that are not on the PATH, newest version first. */
function postgresFolders(): string[] {
  const roots = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt']
  const versions = roots.flatMap((root) => {
    try {
      return readdirSync(root).map((name) => join(root, name, 'bin'))
    } catch {
      return []
    }
  })
  return versions.toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Returns the path of a program, or `undefined` if it is not installed. */
export function findBinary(name: string): string | undefined {
  const folders = [...postgresFolders(), ...(process.env.PATH ?? '').split(delimiter)]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

const INSTALL: Readonly<Record<string, string>> = {
  'redis-server': 'Install Redis (apt-get install redis-server, brew install redis), or set REDIS_URL.',
  initdb: 'Install PostgreSQL (apt-get install postgresql, brew install postgresql), or set DATABASE_URL.',
  chromium: 'Install Chromium (apt-get install chromium), or set CHROMIUM_PATH to a Chrome or Chromium.',
}

/** @throws Error that says what to install */
export function requireBinary(name: string): string {
  const path = findBinary(name)
  if (path !== undefined) return path
  throw new Error(`The tests need "${name}", which was not found. ${INSTALL[name] ?? ''}`)
}

/** Installs a Debian package, where this process may. It starts no daemon. */
export function aptInstall(name: string): void {
  const options = { stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  execFileSync('apt-get', ['update', '-qq'], { ...options, env })
  execFileSync('apt-get', ['install', '-qq', '-y', '--no-install-recommends', name], { ...options, env })
}

export function mayInstall(): boolean {
  return process.getuid?.() === 0 && findBinary('apt-get') !== undefined
}
