/** Resolves with the first signal that ends the process. Then stops listening, so that the next signal has its default effect. */
export function signalled(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  const signals = ['SIGINT', 'SIGTERM'] as const
  const onSignal = (signal: NodeJS.Signals): void => {
    for (const name of signals) process.off(name, onSignal)
    resolve(signal)
  }
  for (const name of signals) process.on(name, onSignal)
  return promise
}
