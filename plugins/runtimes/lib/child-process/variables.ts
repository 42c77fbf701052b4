import type { RunContext } from '../../../../kernel/index.ts'

/** The prefix of the engine's environment variables: its configuration, and the variables it passes to children. */
export const VARIABLE_PREFIX = 'NUXT_QUEUE_'

/** The environment variable that holds the file descriptor of the channel. */
export const CHANNEL_VARIABLE = `${VARIABLE_PREFIX}FD`

/** The variables that describe a job to a program. */
const JOB_VARIABLES = {
  [`${VARIABLE_PREFIX}JOB_ID`]: ({ job }: RunContext) => job.id,
  [`${VARIABLE_PREFIX}JOB_NAME`]: ({ job }: RunContext) => job.name,
  [`${VARIABLE_PREFIX}QUEUE`]: ({ job }: RunContext) => job.queue,
  [`${VARIABLE_PREFIX}RUN_ID`]: ({ runId }: RunContext) => runId,
  [`${VARIABLE_PREFIX}ATTEMPT`]: ({ attempt }: RunContext) => String(attempt),
  [`${VARIABLE_PREFIX}HEADERS`]: ({ job }: RunContext) => JSON.stringify(job.headers),
}

/** All variables that a child receives. They are never read as configuration, because a child may start the engine itself. */
export const CHILD_VARIABLES: ReadonlySet<string> = new Set([CHANNEL_VARIABLE, ...Object.keys(JOB_VARIABLES)])

/** Returns the variables for a program that does not speak the protocol. */
export function jobVariables(ctx: RunContext): Record<string, string> {
  return Object.fromEntries(Object.entries(JOB_VARIABLES).map(([name, read]) => [name, read(ctx)]))
}
