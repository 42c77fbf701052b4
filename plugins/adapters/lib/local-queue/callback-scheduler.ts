/** How many callbacks run before timers and I/O are handled. */
const CALLBACKS_PER_TURN = 256

/**
 * Returns a function that runs callbacks soon. It runs them in microtasks, so that a job never runs in the call stack of
 * its caller. After 256 callbacks it waits for the next turn of the event loop, so that a long queue of short jobs does
 * not starve timers and sockets.
 */
export function createCallbackScheduler(): (callback: () => void) => void {
  let backlog: (() => void)[] = []
  let used = 0
  let armed = false

  function startTurn(): void {
    armed = false
    used = 0
    const ready = backlog
    backlog = []
    for (const callback of ready) start(callback)
  }

  function start(callback: () => void): void {
    if (!armed) {
      armed = true
      setImmediate(startTurn)
    }
    if (used++ < CALLBACKS_PER_TURN) queueMicrotask(callback)
    else backlog.push(callback)
  }
  return start
}
