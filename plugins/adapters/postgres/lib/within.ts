/** Waits at most `ms` milliseconds for a promise. Resolves with true if the promise settled in time, also if it rejected. */
export async function within(ms: number, done: Promise<unknown>): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => timeout.resolve(false), ms)
  const settled = (): boolean => true
  const result = await Promise.race([done.then(settled, settled), timeout.promise])
  clearTimeout(timer)
  return result
}
