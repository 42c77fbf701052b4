/** The most jobs that are claimed ahead, and how many milliseconds of a turn are made up for. */
const MOST_AHEAD = 512
const LONGEST_TURN = 33
/** Two turns are under way at once, and what the next one is for gathers beside them. */
const TURNS = 3
/** Milliseconds that are looked at together. */
const WINDOW = 5

/** How many jobs are worth claiming before there are slots for them. */
export interface Pace {
  readonly ahead: number
  /** A handler has succeeded. */
  handled(): void
  /** A turn that claims took so many milliseconds. */
  turned(ms: number): void
  /** What was claimed ahead has waited for too long. */
  slow(): void
}

/**
 * A slot must not wait for a claim to travel, so what slots get through during a turn is claimed ahead
 * (Little's law), for as many turns as there are. It is nothing for handlers that take long, and
 * never more than slots have just got through in 100 ms, so that no job waits here that another process
 * could run. Only successes count: what is put off would come back at once.
 */
export function createPace(now = () => performance.now()): Pace {
  /** Jobs a millisecond. */
  let rate = 0
  let turn = 0
  let handled = 0
  let since = now()
  return {
    get ahead() {
      return Math.min(MOST_AHEAD, Math.floor(TURNS * rate * Math.min(turn, LONGEST_TURN)))
    },
    handled() {
      handled++
    },
    turned(ms) {
      turn += (ms - turn) / 4
      const elapsed = now() - since
      if (elapsed < WINDOW) return
      const latest = handled / elapsed
      // A few that end together are no sign yet; one that takes long is.
      rate += (latest - rate) / (latest > rate ? 8 : 2)
      handled = 0
      since += elapsed
    },
    slow() {
      rate = 0
    },
  }
}
