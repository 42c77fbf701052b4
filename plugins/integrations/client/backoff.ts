export interface BackoffOptions {
  /** Default 1,000, or what the server says. */
  min?: number
  /** Default 30,000. */
  max?: number
}

export function createBackoff({ min, max = 30_000 }: BackoffOptions = {}) {
  let base = min ?? 1_000
  let failures = 0

  return {
    reset: () => void (failures = 0),
    /** The server's wish, where the application has none. */
    startAt: (ms: number) => void (min === undefined && (base = ms)),
    /** @param atLeast milliseconds; not shortened by chance */
    async wait(signal: AbortSignal, atLeast = 0): Promise<void> {
      const longest = Math.min(max, base * 2 ** failures++)
      // Those who lost the same server do not come back in the same moment.
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
