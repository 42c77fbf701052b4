import { quoteName } from '../lib/postgres.ts'
import { fairStatements } from './sql-fair.ts'
import { forgottenStatements } from './sql-forgotten.ts'
import { enqueueFunction } from './sql-jobs.ts'
import { limitStatements } from './sql-limits.ts'
import { listStatements } from './sql-lists.ts'
import { permitStatements } from './sql-permits.ts'
import { searchStatements } from './sql-search.ts'
import { claimFunction, settleAndClaimFunctions, takeTurnFunction } from './sql-settle-and-claim.ts'
import { upkeepFunctions } from './sql-upkeep.ts'

/**
 * Returns the statements of each version of the schema. The tables of pg-boss already exist when they run. Only their fill
 * factor changes; all other data is in our own tables. Functions that only earlier releases call (`nq_turn` of version 1) stay
 * in existing schemas, for instances that are not updated yet, and are not created in new ones.
 */
export function queueVersions(schema: string, channel: string): string[] {
  const s = quoteName(schema)
  const first = [tables(s), enqueueFunction(s, channel), upkeepFunctions(s), limitStatements(s)]
  return [
    first.join('\n'),
    settleAndClaimFunctions(s, channel),
    fillFactor(s),
    permitStatements(s),
    forgottenStatements(s),
    listStatements(s),
    searchStatements(s),
    claimFunction(s),
    fairStatements(s, channel),
    queueLimitStatements(s, channel),
  ]
}

/** Version 1: `nq_queue` stores what pg-boss does not know of a queue: whether it is paused, and until when a deferral holds it. */
function tables(s: string): string {
  return `
CREATE TABLE ${s}.nq_queue (
  name text PRIMARY KEY,
  paused boolean NOT NULL DEFAULT false,
  held_until timestamptz
);`
}

/**
 * Version 10: the limits of queues. `rate_used` jobs were claimed in the period that ends at `rate_until`. `rate_period` is in milliseconds.
 * Without a limit, the columns are null, and claims run the same statements as before.
 */
function queueLimitStatements(s: string, channel: string): string {
  return `
ALTER TABLE ${s}.nq_queue ADD COLUMN concurrency int, ADD COLUMN rate_limit int, ADD COLUMN rate_period double precision,
  ADD COLUMN rate_used int NOT NULL DEFAULT 0, ADD COLUMN rate_until timestamptz;
${takeTurnFunction(s, channel)}`
}

/**
 * Version 3: the fill factor of pg-boss's table. A job is written three times: when it is stored, claimed and settled. If its
 * page has free space, the next version of the row stays on the page, and the write-ahead log contains only the difference.
 * This halves the write-ahead log. The table is not larger once jobs have run, because dead versions are reused.
 */
function fillFactor(s: string): string {
  return `ALTER TABLE ${s}.job_common SET (fillfactor = 50);`
}
