import type { RunContext } from '../../../../kernel/index.ts'

/** The prefix of the engine's environment variables: its configuration, and the variables it passes to children. */
export const PREFIX = 'NUXT_QUEUE_'

/** The environment variable that holds the file descriptor of the channel. */
export const CHANNEL_VARIABLE = `${PREFIX}FD`

/** The variables that describe a job to a program. */
const JOB_VARIABLES = {
  [`${PREFIX}JOB_ID`]: ({ job }: RunContext) => job.id,
  [`${PREFIX}JOB_NAME`]: ({ job }: RunContext) => job.name,
  [`${PREFIX}QUEUE`]: ({ job }: RunContext) => job.queue,
  [`${PREFIX}RUN_ID`]: ({ runId }: RunContext) => runId,
  [`${PREFIX}ATTEMPT`]: ({ attempt }: RunContext) => String(attempt),
  [`${PREFIX}HEADERS`]: ({ job }: RunContext) => JSON.stringify(job.headers),
}

/** All variables that a child receives. They are never read as configuration, because a child may start the engine itself. */
export const CHILD_VARIABLES: ReadonlySet<string> = new Set([CHANNEL_VARIABLE, ...Object.keys(JOB_VARIABLES)])

/** Returns the variables for a program that does not speak the protocol. */
export function jobVariables(ctx: RunContext): Record<string, string> {
  return Object.fromEntries(Object.entries(JOB_VARIABLES).map(([name, read]) => [name, read(ctx)]))
}
