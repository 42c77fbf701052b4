import { quoteName } from '../lib/postgres.ts'
import { forgottenStatements } from './sql-forgotten.ts'
import { enqueueFunction } from './sql-jobs.ts'
import { limitStatements } from './sql-limits.ts'
import { listStatements } from './sql-lists.ts'
import { permitStatements } from './sql-permits.ts'
import { turnFunctions } from './sql-turn.ts'
import { upkeepFunctions } from './sql-upkeep.ts'

/**
 * Statements of each version of the schema. The tables of pg-boss are there when they run, and stay as
 * they are, but for the room on their pages: ours stand beside them. Functions that only earlier releases call (`nq_turn` of version 1)
 * are left where they are, for instances that are still to be updated, and not made anew.
 */
export function queueVersions(schema: string, channel: string): string[] {
  const s = quoteName(schema)
  const first = [tables(s), enqueueFunction(s, channel), upkeepFunctions(s), limitStatements(s)]
  return [first.join('\n'), turnFunctions(s), room(s), permitStatements(s), forgottenStatements(s), listStatements(s)]
}

/** What pg-boss does not know of a queue: whether it is paused, and until when a rate limit holds it. */
function tables(s: string): string {
  return `
CREATE TABLE ${s}.nq_queue (
  name text PRIMARY KEY,
  paused boolean NOT NULL DEFAULT false,
  held_until timestamptz
);`
}

/**
 * A job is written three times: when it is stored, claimed and settled. Where its page has room for the
 * next version, that one is told to the log as a difference, and takes the place of the first once it
 * is dead. The table is no larger for it once jobs have run, the write-ahead log little more than half.
 */
function room(s: string): string {
  return `ALTER TABLE ${s}.job_common SET (fillfactor = 50);`
}
