/** Calls back when nothing has arrived for a number of milliseconds. */
export function createWatchdog(ms: number, bark: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let paused = false

  function stop(): void {
    clearTimeout(timer)
  }
  function pat(): void {
    stop()
    if (!paused) timer = setTimeout(bark, ms)
  }

  pat()
  return {
    pat,
    stop,
    async pausedDuring(busy: Promise<void>): Promise<void> {
      paused = true
      stop()
      try {
        await busy
      } finally {
        paused = false
        pat()
      }
    },
  }
}
