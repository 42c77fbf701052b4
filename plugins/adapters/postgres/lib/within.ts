/** Waits for something, so many milliseconds at most; returns whether it has come. A rejection has come, too. */
export async function within(ms: number, done: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => late.resolve(false), ms)
  const came = (): boolean => true
  const result = await Promise.race([done.then(came, came), late.promise])
  clearTimeout(timer)
  return result
}
