import type { Clock } from '../../kernel/index.ts'

/**
 * The timers of the kernels of all processes, apart from the timers of the store and of faults. While no job runs, they only keep house, so
 * the driver of a run lets them be late instead of waking them every few seconds for hours.
 */
export function createTimers(clock: Pick<Clock, 'now'>) {
  const timers = new Set<{ at: number; callback: () => void }>()

  const next = () => [...timers].reduce<number | undefined>((first, { at }) => Math.min(first ?? at, at), undefined)

  return {
    setTimeout(callback: () => void, ms: number): () => void {
      const timer = { at: clock.now() + Math.max(0, ms), callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    /** The moment of the next timer. */
    get next() {
      return next()
    },
    /** Calls the timers that are due, in order. */
    fireDue(): void {
      const due = [...timers].filter(({ at }) => at <= clock.now()).toSorted((a, b) => a.at - b.at)
      for (const timer of due) if (timers.delete(timer)) timer.callback()
    },
  }
}
export type Timers = ReturnType<typeof createTimers>
