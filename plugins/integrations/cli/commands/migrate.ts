import { resolve } from 'pathe'
import { QueueError, type Kernel } from '../../../../kernel/index.ts'
import { moveLive, type LivePhase, type LiveStore } from '../../lib/backup/move-live.ts'
import { abortMove, moveStore } from '../../lib/backup/move.ts'
import { parseWhole } from '../arguments.ts'
import { configOf, type Host, type LoadedConfig } from '../backend.ts'
import { reporter } from '../output.ts'
import { assertUnused, storeOf } from './backup.ts'
import { command, type Commands } from './define.ts'

const store = { type: 'string', valueHint: 'store', required: true } as const

export function migrateCommands(host: Host): Commands {
  return {
    migrate: command(
      'Move all jobs and runs to another store',
      {
        from: { ...store, description: 'redis://…, postgres://…, file:<folder> or embedded:<folder>' },
        to: { ...store, description: 'The new store, which must be empty' },
        live: {
          type: 'boolean',
          description: 'Move while the application runs. It leaves the old store for the last few seconds',
        },
        drain: {
          type: 'string',
          valueHint: 'ms',
          description: 'With --live: how long to wait for running jobs to end. Default: 60000',
        },
        abort: { type: 'boolean', description: 'Make the old store usable again, if the move is not complete' },
      },
      async ({ from, to, live, drain, abort }, { cwd, output }) => {
        const config = await configOf(host, cwd)
        const [source, target] = [placeOf(from, cwd, config), placeOf(to, cwd, config)]
        assertOnlyArguments()
        if (drain !== undefined && !live) throw wrong('--drain needs --live, which is missing.')
        const drainTime = parseWhole('drain', drain) ?? DRAIN
        if (source.name === target.name) throw wrong(`--from and --to are the same store, ${source.name}.`)
        await withStore(host, source, async (old) => {
          if (abort) {
            const aborted = await abortMove(old)
            if (output.json) return output.value({ aborted })
            const done = `The store ${old.name} can be used again. Remove the data that was copied to ${target.name}.`
            return output.line(aborted ? done : `No move of ${old.name} was in progress.`)
          }
          await withStore(host, target, async (fresh) => {
            if (live) {
              const onPhase = (phase: LivePhase): void => {
                if (output.json) return
                output.line(PHASES[phase](old.name, fresh.name))
                if (phase === 'copying' && fresh.port.capabilities.shared) output.line(waitHint(fresh.name))
              }
              const report = await moveLive(old, fresh, { settle: SETTLE, drain: drainTime, onPhase })
              if (output.json) return output.value({ moved: true, ...report })
              if (!report) return output.line(PHASES.moved(old.name, fresh.name))
              const { open, late, downtime } = report
              return output.line(`${open + late} jobs were open. No job began for ${downtime} ms or a little longer.`)
            }
            const report = await moveStore(old, fresh)
            if (output.json) return output.value({ moved: true, ...report })
            if (report) output.line(`Moved and compared ${report.jobs} jobs and ${report.streams} streams.`)
            output.line(`Start the application with ${fresh.name}. Processes that use ${old.name} refuse to start.`)
          })
        })
      },
      [
        'migrate --from redis://localhost --to postgres://localhost/shop',
        'migrate --from redis://localhost --to postgres://localhost/shop --live',
        'migrate --from embedded:.nuxt-queue/pglite --to postgres://localhost/shop --abort',
      ],
    ),
  }
}

/** How long running jobs have to end, in milliseconds. */
const DRAIN = 60_000
/** How long processes without workers have to notice that they must stop, in milliseconds. */
const SETTLE = 1000

/** Files and the embedded database are locked while jobs are copied to them. */
const waitHint = (to: string): string => `You can start processes that wait for ${to} now.`

const PHASES: Readonly<Record<LivePhase, (from: string, to: string) => string>> = {
  copying: (from) => `Copying from ${from} while it is in use.`,
  draining: (from) => `Processes that use ${from} end their running jobs and leave it.`,
  moved: (from, to) => `${to} is in use. Processes that use ${from} refuse to start.`,
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
    embedded: ['embedded', 'embedded', { path }],
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
    'EMBEDDED_PATH',
  ]
  const set = names.map((name) => `NUXT_QUEUE_${name}`).filter((name) => process.env[name])
  if (set.length === 0) return
  throw wrong(`${set.join(' and ')} would override --from and --to. Unset them for this command.`)
}

async function withStore(host: Host, { name, config }: Place, use: (store: LiveStore) => Promise<void>): Promise<void> {
  const kernel: Kernel = await host.createKernel({ config, reporter })
  try {
    await use({ ...storeOf(kernel), name, port: kernel.port('events'), assertUnused: () => assertUnused(kernel) })
  } finally {
    await kernel.close()
  }
}

const wrong = (message: string): QueueError => new QueueError('OPTION_INVALID', message)
