import { resolve } from 'pathe'
import { QueueError, type Kernel } from '../../../../kernel/index.ts'
import { exportStore, type CopyableStore } from '../../lib/backup/export.ts'
import { checkExport, readExport, writeExport } from '../../lib/backup/files.ts'
import { importStore, isEmptyStore } from '../../lib/backup/import.ts'
import { configOf, openKernel, type Host } from '../backend.ts'
import { command, type CommandCall, type Commands } from './define.ts'

export function backupCommands(host: Host): Commands {
  return {
    import: command(
      'Write everything that "export --all" has exported to the store, which must be empty',
      {
        file: { type: 'positional', required: true, description: 'The file' },
        merge: {
          type: 'boolean',
          description: 'Add to a store that is not empty. Jobs and runs that it has stay as they are',
        },
      },
      async ({ file, merge = false }, call) => importAll(host, resolve(call.cwd, file), merge, call),
      ['import backup.jsonl.gz', 'import backup.jsonl.gz --merge'],
    ),
  }
}

/** Writes everything in the store of a folder to a file. */
export async function exportAll(host: Host, file: string, { cwd, output }: CommandCall): Promise<void> {
  await withStore(host, cwd, async (store) => {
    const counts = await writeExport(exportStore(store), file)
    if (output.json) return output.value({ file, ...counts })
    output.line(`Wrote ${counts.jobs} jobs and ${counts.streams} streams with ${counts.events} events to ${file}.`)
  })
}

async function importAll(host: Host, file: string, merge: boolean, { cwd, output }: CommandCall): Promise<void> {
  await checkExport(file)
  await withStore(host, cwd, async (store) => {
    if (!merge && !(await isEmptyStore(store))) {
      const hint = 'Use an empty store, or add --merge, which keeps the jobs and runs that the store has.'
      throw new QueueError('STORE_NOT_EMPTY', `The store has jobs or runs, so ${file} was not imported. ${hint}`)
    }
    const report = await importStore(readExport(file), store)
    if (output.json) return output.value(report)
    const { streams, events, jobs, kept } = report
    output.line(`Imported and compared ${jobs} jobs and ${streams} streams with ${events} events.`)
    if (kept.jobs + kept.streams === 0) return
    output.line(
      `The store had ${kept.jobs} of the jobs and ${kept.streams} of the streams already. They were not changed.`,
    )
  })
}

async function withStore(host: Host, cwd: string, use: (store: CopyableStore) => Promise<void>): Promise<void> {
  const kernel = await openKernel(host, cwd, await configOf(host, cwd))
  try {
    await assertUnused(kernel)
    await use(storeOf(kernel))
  } finally {
    await kernel.close()
  }
}

/** @throws QueueError `OPTION_UNSUPPORTED` if an adapter cannot be copied */
export function storeOf(kernel: Kernel): CopyableStore {
  if (kernel.hasPort('eventCopies') && kernel.hasPort('jobCopies')) {
    return { events: kernel.port('eventCopies'), jobs: kernel.port('jobCopies') }
  }
  const message =
    'The adapters of this store cannot export or import it: expected the ports "eventCopies" and "jobCopies".'
  throw new QueueError('OPTION_UNSUPPORTED', `${message} Use the adapters of this package.`)
}

/** Other processes would change the store meanwhile. A store of one process is locked by it. */
export async function assertUnused(kernel: Kernel): Promise<void> {
  if (!kernel.port('queue').capabilities.shared) return
  const running = await kernel.instances()
  if (running.length === 0) return
  const list = running.map(({ host, pid }) => `${host} (process ${pid})`).join(', ')
  const hint = 'Stop all processes that use the store, also the ones that only enqueue jobs, and run the command again.'
  const late = 'A process that was killed is listed for another three minutes.'
  throw new QueueError('STORE_IN_USE', `Workers of this store run on ${list}. ${hint} ${late}`)
}
