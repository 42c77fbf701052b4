import { isQueueError } from '../../../../kernel/index.ts'

/** How many rows one statement forgets, so that none holds its locks for long. */
const BATCH = 1000
/** How many statements one sweep takes at most; the next one goes on. */
const ROUNDS = 200

/**
 * Forgets rows in batches, and in smaller ones where a statement takes longer than its time limit.
 *
 * @param forget removes so many at most, and returns how many it has removed
 */
export async function sweepInBatches(forget: (limit: number) => Promise<number>): Promise<number> {
  let batch = BATCH
  let total = 0
  for (let round = 0; round < ROUNDS; round++) {
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

/** A statement of a sweep is not sent again when it takes too long: the next one is smaller. */
export const SWEEP = { repeatable: true, tries: 1 } as const
