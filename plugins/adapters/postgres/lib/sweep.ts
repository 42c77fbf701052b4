import { isQueueError } from '../../../../kernel/index.ts'

/** How many rows one statement deletes, so that it holds its locks only for a short time. */
const BATCH = 1000
/** The maximum number of statements in one sweep. The next sweep continues. */
const MAX_STATEMENTS = 200

/**
 * Deletes rows in batches. If a statement exceeds its time limit, the following batches are smaller.
 *
 * @param forget deletes up to `limit` rows, and returns how many it deleted
 */
export async function sweepInBatches(forget: (limit: number) => Promise<number>): Promise<number> {
  let batch = BATCH
  let total = 0
  for (let sent = 0; sent < MAX_STATEMENTS; sent++) {
    try {
      const count = await forget(batch)
      total += count
      if (count < batch) break
    } catch (error) {
      if (batch === 1 || !isQueueError(error, 'STORE_TIMEOUT')) throw error
      batch = Math.ceil(batch / 8)
    }
  }
  return total
}

/** Query options of a sweep. A statement that takes too long is not sent again; the next batch is smaller. */
export const SWEEP = { repeatable: true, tries: 1 } as const
