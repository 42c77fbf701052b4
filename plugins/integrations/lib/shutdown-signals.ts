/** The first signal to end. Listens no more then, so that the next one does what signals do. */
export function signalled(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  const signals = ['SIGINT', 'SIGTERM'] as const
  const heard = (signal: NodeJS.Signals): void => {
    for (const name of signals) process.off(name, heard)
    resolve(signal)
  }
  for (const name of signals) process.on(name, heard)
  return promise
}
