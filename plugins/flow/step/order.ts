/**
 * Releases recorded outcomes one at a time, in the order of the log. So if two sub-steps are requested together, the same one ends first in
 * every attempt.
 */
export function createReplayOrder(): (seq: number) => Promise<void> {
  const due: { seq: number; go: () => void }[] = []

  // The next tick comes after all pending microtasks: further requests, or the code that follows a released outcome.
  function next(): void {
    const first = due.reduce((best, one) => (one.seq < best.seq ? one : best))
    due.splice(due.indexOf(first), 1)
    first.go()
    if (due.length > 0) queueMicrotask(() => process.nextTick(next))
  }

  return (seq) =>
    new Promise((go) => {
      if (due.push({ seq, go }) === 1) process.nextTick(next)
    })
}
