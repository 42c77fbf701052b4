/**
 * Answers what is on record in the order in which it stands there, one at a time: of two parts that are asked for
 * beside each other the one that was over first is so in every attempt.
 */
export function createOrder(): (seq: number) => Promise<void> {
  const due: { seq: number; go: () => void }[] = []

  // A tick comes once all that can happen at once has happened, which are the other requests, or what follows an answer.
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
