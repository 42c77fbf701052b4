import { backupCommands } from './backup.ts'
import { bulkCommands } from './bulk.ts'
import { createCompletion } from './completion.ts'
import { createOpener, type Commands } from './define.ts'
import { doctorCommand } from './doctor.ts'
import type { Host } from '../backend.ts'
import { jobCommands } from './jobs.ts'
import { migrateCommands } from './migrate.ts'
import { observabilityCommands } from './observability.ts'
import { processCommands } from './processes.ts'
import { projectCommands } from './project.ts'
import { queueCommands } from './queues.ts'
import { runCommands } from './runs.ts'
import { runMessageCommands } from './run-messages.ts'
import { triggerCommands } from './triggers.ts'

/** All commands, in the order of `--help`. */
export function createCommands(host: Host): Commands {
  const open = createOpener(host)
  const commands = {
    ...processCommands(host),
    ...jobCommands(open),
    ...bulkCommands(open),
    ...queueCommands(open),
    ...runCommands(open, host),
    ...backupCommands(host),
    ...migrateCommands(host),
    ...runMessageCommands(open),
    ...projectCommands(open),
    ...triggerCommands(open),
    ...observabilityCommands(open),
    ...doctorCommand(host),
  }
  return { ...commands, completion: createCompletion(commands) }
}
