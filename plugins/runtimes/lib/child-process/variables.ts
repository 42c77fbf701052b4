import type { RunContext } from '../../../../kernel/index.ts'

/** What the variables of the engine start with: its configuration, and what it gives to children. */
export const PREFIX = 'NUXT_QUEUE_'

/** The variable that names the file descriptor of the channel. */
export const CHANNEL_VARIABLE = `${PREFIX}FD`

/** What a program learns of its job beside the data. */
const OF_JOB = {
  [`${PREFIX}JOB_ID`]: ({ job }: RunContext) => job.id,
  [`${PREFIX}JOB_NAME`]: ({ job }: RunContext) => job.name,
  [`${PREFIX}QUEUE`]: ({ job }: RunContext) => job.queue,
  [`${PREFIX}RUN_ID`]: ({ runId }: RunContext) => runId,
  [`${PREFIX}ATTEMPT`]: ({ attempt }: RunContext) => String(attempt),
}

/** All that a child is given, which is never read as configuration: a child may start the engine itself. */
export const CHILD_VARIABLES: ReadonlySet<string> = new Set([CHANNEL_VARIABLE, ...Object.keys(OF_JOB)])

/** The variables of a program that does not speak the protocol. */
export function jobVariables(ctx: RunContext): Record<string, string> {
  return Object.fromEntries(Object.entries(OF_JOB).map(([name, read]) => [name, read(ctx)]))
}
