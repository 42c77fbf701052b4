import { resolve } from 'pathe'
import { QueueError, type Kernel } from '../../../../kernel/index.ts'
import { abortMove, moveStore, type MovedStore } from '../../lib/backup/move.ts'
import { configOf, type Host, type LoadedConfig } from '../backend.ts'
import { reporter } from '../output.ts'
import { assertUnused, storeOf } from './backup.ts'
import { command, type Commands } from './define.ts'

const store = { type: 'string', valueHint: 'store', required: true } as const

export function migrateCommands(host: Host): Commands {
  return {
    migrate: command(
      'Move all jobs and runs of a stopped application to another store',
      {
        from: { ...store, description: 'redis://…, postgres://…, file:<folder> or embedded:<folder>' },
        to: { ...store, description: 'The new store, which must be empty' },
        abort: { type: 'boolean', description: 'Make the old store usable again, if the move is not complete' },
      },
      async ({ from, to, abort }, { cwd, output }) => {
        const config = await configOf(host, cwd)
        const [source, target] = [placeOf(from, cwd, config), placeOf(to, cwd, config)]
        assertOnlyArguments()
        if (source.name === target.name) throw wrong(`--from and --to are the same store, ${source.name}.`)
        await withStore(host, source, async (old) => {
          if (abort) {
            const aborted = await abortMove(old)
            if (output.json) return output.value({ aborted })
            const done = `The store ${old.name} can be used again. Remove the data that was copied to ${target.name}.`
            return output.line(aborted ? done : `No move of ${old.name} was in progress.`)
          }
          await withStore(host, target, async (fresh) => {
            const report = await moveStore(old, fresh)
            if (output.json) return output.value({ moved: true, ...report })
            if (report) output.line(`Moved and compared ${report.jobs} jobs and ${report.streams} streams.`)
            output.line(`Start the application with ${fresh.name}. Processes that use ${old.name} refuse to start.`)
          })
        })
      },
      [
        'migrate --from redis://localhost --to postgres://localhost/shop',
        'migrate --from embedded:.nuxt-queue/pglite --to postgres://localhost/shop --abort',
      ],
    ),
  }
}

interface Place {
  name: string
  config: LoadedConfig
}

/** Returns the configuration of a store. Its other settings, such as prefix and schema, are those of the project. */
function placeOf(text: string, cwd: string, config: LoadedConfig): Place {
  const [, scheme, rest] = /^(\w+):(.*)$/.exec(text) ?? []
  const path = resolve(cwd, rest ?? '')
  const sections: Readonly<Record<string, [preset: string, section: string, setting: object]>> = {
    redis: ['prod-redis', 'redis', { url: text }],
    rediss: ['prod-redis', 'redis', { url: text }],
    postgres: ['prod-postgres', 'postgres', { url: text }],
    postgresql: ['prod-postgres', 'postgres', { url: text }],
    file: ['dev-file', 'file', { path }],
    embedded: ['embedded', 'pglite', { path }],
  }
  const found = scheme !== undefined && Object.hasOwn(sections, scheme) ? sections[scheme] : undefined
  if (!found || !rest) {
    const expected = Object.keys(sections)
      .map((one) => `${one}:…`)
      .join(', ')
    throw wrong(`A store is one of ${expected}; got "${withoutPassword(text)}".`)
  }
  const [preset, section, setting] = found
  const isFolder = scheme === 'file' || scheme === 'embedded'
  return {
    name: isFolder ? `${scheme}:${path}` : withoutPassword(text),
    config: {
      ...config,
      // A store is copied without the workers and plugins of the project.
      ...{ preset, adapter: undefined, plugins: [], registry: { dirs: [] } },
      [section]: { ...(config[section] as object | undefined), ...setting },
      instances: { heartbeat: 0, moved: 'ignore' },
    },
  }
}

/** Returns an address without its credentials and parameters. */
function withoutPassword(text: string): string {
  try {
    const { protocol, host, pathname } = new URL(text)
    return `${protocol}//${host}${pathname}`
  } catch {
    return text.slice(0, 12)
  }
}

/** Variables take precedence over the configuration, and would redirect both stores to one. */
function assertOnlyArguments(): void {
  const names = [
    'ADAPTER',
    'PRESET',
    'REDIS_URL',
    'POSTGRES_URL',
    'POSTGRES_CONNECTION_STRING',
    'FILE_PATH',
    'PGLITE_PATH',
  ]
  const set = names.map((name) => `NUXT_QUEUE_${name}`).filter((name) => process.env[name])
  if (set.length === 0) return
  throw wrong(`${set.join(' and ')} would override --from and --to. Unset them for this command.`)
}

async function withStore(
  host: Host,
  { name, config }: Place,
  use: (store: MovedStore) => Promise<void>,
): Promise<void> {
  const kernel: Kernel = await host.createKernel({ config, reporter })
  try {
    await use({ ...storeOf(kernel), name, port: kernel.port('events'), assertUnused: () => assertUnused(kernel) })
  } finally {
    await kernel.close()
  }
}

const wrong = (message: string): QueueError => new QueueError('OPTION_INVALID', message)
