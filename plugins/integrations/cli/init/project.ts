import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'pathe'
import { QueueError } from '../../../../kernel/index.ts'

export type Framework = 'nuxt' | 'nitro' | 'nitropack' | 'node'

/** The facts about a folder that determine what `init` adds. */
export interface DetectedProject {
  folder: string
  framework: Framework
  /** The framework's config file, relative to the folder, if there is one. */
  configFile: string | undefined
  /** Whether the project already depends on this package. */
  installed: boolean
  /** Whether the files are ES modules by default. Otherwise Node warns of each worker that it loads. */
  esm: boolean
  /** The command that runs a program of the project, and the command that installs a package. */
  run: string
  install: string
}

const ENDINGS = ['ts', 'mts', 'js', 'mjs']

/** The lock files of package managers, with the commands that run and install. The last one is the default. */
const MANAGERS = [
  ['pnpm-lock.yaml', 'pnpm exec', 'pnpm add'],
  ['yarn.lock', 'yarn', 'yarn add'],
  ['bun.lock', 'bunx', 'bun add'],
  ['bun.lockb', 'bunx', 'bun add'],
  ['package-lock.json', 'npx', 'npm i'],
] as const

/** @throws QueueError `CONFIG_INVALID` for a folder without a `package.json`, or with an unreadable one */
export async function detectProject(folder: string): Promise<DetectedProject> {
  const { packages, esm } = await readManifest(folder)
  const framework = frameworkOf(folder, packages)
  const [, run, install] = MANAGERS.find(([lock]) => existsSync(join(folder, lock))) ?? MANAGERS.at(-1)!
  const name = framework === 'nuxt' ? 'nuxt' : framework === 'node' ? 'nuxt-queue' : 'nitro'
  return {
    folder,
    framework,
    configFile: configFile(folder, name),
    installed: packages.has('nuxt-queue'),
    esm,
    run,
    install,
  }
}

async function readManifest(folder: string): Promise<{ packages: Set<string>; esm: boolean }> {
  const file = join(folder, 'package.json')
  if (!existsSync(file)) {
    throw new QueueError('CONFIG_INVALID', `There is no package.json in ${folder}. Create it with: npm init -y`)
  }
  try {
    const { dependencies, devDependencies, type } = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
    return {
      packages: new Set(Object.keys({ ...(dependencies as object), ...(devDependencies as object) })),
      esm: type === 'module',
    }
  } catch (cause) {
    throw new QueueError('CONFIG_INVALID', `${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

/** Nuxt comes first, because it brings Nitro. */
function frameworkOf(folder: string, packages: ReadonlySet<string>): Framework {
  if (packages.has('nuxt') || packages.has('nuxt-nightly') || configFile(folder, 'nuxt')) return 'nuxt'
  if (packages.has('nitropack')) return 'nitropack'
  if (packages.has('nitro') || configFile(folder, 'nitro')) return 'nitro'
  return 'node'
}

function configFile(folder: string, name: string): string | undefined {
  return ENDINGS.map((ending) => `${name}.config.${ending}`).find((file) => existsSync(join(folder, file)))
}
