/** How many callbacks may run before timers and I/O get their turn. */
const CALLBACKS_A_TURN = 256

/**
 * Starts callbacks in microtasks, so that nobody's call stack runs somebody else's job, but lets the
 * event loop turn now and then: a long queue of short jobs must not starve timers and sockets.
 */
export function createTurns(): (callback: () => void) => void {
  let backlog: (() => void)[] = []
  let used = 0
  let armed = false

  function turn(): void {
    armed = false
    used = 0
    const ready = backlog
    backlog = []
    for (const callback of ready) start(callback)
  }

  function start(callback: () => void): void {
    if (!armed) {
      armed = true
      setImmediate(turn)
    }
    if (used++ < CALLBACKS_A_TURN) queueMicrotask(callback)
    else backlog.push(callback)
  }
  return start
}
