export interface BackoffOptions {
  /** The shortest wait in milliseconds. Default 1,000, or the value that the server sends. */
  min?: number
  /** The longest wait in milliseconds. Default 30,000. */
  max?: number
}

export function createBackoff({ min, max = 30_000 }: BackoffOptions = {}) {
  let base = min ?? 1_000
  let failures = 0

  return {
    reset: () => void (failures = 0),
    /** Sets the minimum that the server sends, unless the application set one. */
    startAt: (ms: number) => void (min === undefined && (base = ms)),
    /** @param atLeast milliseconds that the random variation does not shorten */
    async wait(signal: AbortSignal, atLeast = 0): Promise<void> {
      const longest = Math.min(max, base * 2 ** failures++)
      // Random variation keeps clients of the same server from reconnecting at the same moment.
      await pause(Math.max(atLeast, longest * (0.5 + Math.random() / 2)), signal)
    },
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1))
    signal.addEventListener('abort', done)
  })
}
