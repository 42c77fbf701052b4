import type { RateLimit } from '../../../../kernel/index.ts'

/** Milliseconds after which a reservation that nobody came back for is forgotten. */
const RESERVED_FOR = 3_600_000

/** The starts of one bucket: those that happened decide, those that are reserved only plan ahead. */
export class Bucket {
  /** When the last starts happened, oldest first; never more than `max`. */
  readonly #starts: number[] = []
  /** The same and the reserved ones ahead, in order: where the next reservation finds its place. */
  readonly #planned: number[] = []
  /** Starts reserved for holders that have been told to wait. */
  readonly #reserved = new Map<string, number>()

  /** When its last start or plan no longer counts. */
  #countsUntil = 0

  /** Nothing that it remembers matters any more. */
  isIdle(now: number): boolean {
    return this.#countsUntil <= now && this.#reserved.size === 0
  }

  /** Answers 0 when it may start now, else the milliseconds to wait. */
  take({ max, duration }: RateLimit, now: number, holder?: string): number {
    this.#countsUntil = Math.max(this.#countsUntil, now + duration)
    dropUntil(this.#starts, now - duration)
    dropUntil(this.#planned, now - duration)
    const mine = holder === undefined ? undefined : this.#reserved.get(holder)
    if (mine !== undefined && mine > now) return mine - now
    const free = nextStart(this.#starts, max, duration, now)
    // Whoever comes back for a reservation has been planned for; others come after all that is planned.
    const at = mine === undefined ? Math.max(free, nextStart(this.#planned, max, duration, now)) : free
    if (at > now && holder === undefined) return at - now
    if (mine !== undefined) remove(this.#planned, mine)
    insert(this.#planned, at)
    if (at > now) {
      this.#forgetOld(now)
      this.#reserved.set(holder!, at)
      return at - now
    }
    if (mine !== undefined) this.#reserved.delete(holder!)
    insert(this.#starts, now)
    return 0
  }

  #forgetOld(now: number): void {
    for (const [holder, at] of this.#reserved) {
      if (at > now - RESERVED_FOR) return
      this.#reserved.delete(holder)
    }
  }
}

/** With `max` starts in any span of `duration`, the next may follow the one `max` places before it. */
function nextStart(times: readonly number[], max: number, duration: number, now: number): number {
  return times.length < max ? now : Math.max(now, times[times.length - max]! + duration)
}

function dropUntil(times: number[], moment: number): void {
  const kept = times.findIndex((at) => at > moment)
  if (kept !== 0) times.splice(0, kept === -1 ? times.length : kept)
}

/** Times come in order but for reservations that were claimed late. */
function insert(times: number[], at: number): void {
  if (times.length === 0 || times.at(-1)! <= at) times.push(at)
  else times.splice(times.findLastIndex((other) => other <= at) + 1, 0, at)
}

function remove(times: number[], at: number): void {
  const index = times.indexOf(at)
  if (index !== -1) times.splice(index, 1)
}
