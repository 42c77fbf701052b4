import type { Clock } from '../../kernel/index.ts'

/**
 * Waits at most `ms` milliseconds for a promise. If it settles later, its result is ignored.
 *
 * @throws what the promise rejects with, or the error that `late` returns
 */
export async function withinTime<T>(
  clock: Pick<Clock, 'setTimeout'>,
  ms: number,
  asking: Promise<T>,
  late: () => Error,
): Promise<T> {
  const timeout = Promise.withResolvers<never>()
  const stop = clock.setTimeout(() => timeout.reject(late()), ms)
  try {
    return await Promise.race([asking, timeout.promise])
  } finally {
    stop()
  }
}
