import type { RateLimit } from '../../../../kernel/index.ts'

/** A reservation that its owner does not use is dropped this many milliseconds after its moment. */
const RESERVED_FOR = 3_600_000

/** The starts of one rate limit bucket. Only actual starts count against the limit. Reserved starts are a plan. */
export class Bucket {
  /** The moments of the last starts, oldest first. At most `max` of them. */
  readonly #starts: number[] = []
  /** The moments of the last starts and of the reserved ones, in order. They determine the next reservation. */
  readonly #planned: number[] = []
  /** Reserved moments by the owner that waits for them. */
  readonly #reserved = new Map<string, number>()

  /** The moment from which no start or reservation counts any more. */
  #countsUntil = 0

  /** Returns true if the bucket can be dropped without changing the limit. */
  isIdle(now: number): boolean {
    return this.#countsUntil <= now && this.#reserved.size === 0
  }

  /** Returns 0 if the owner may start now, or else the milliseconds to wait. */
  take({ max, duration }: RateLimit, now: number, owner?: string): number {
    this.#countsUntil = Math.max(this.#countsUntil, now + duration)
    dropUntil(this.#starts, now - duration)
    dropUntil(this.#planned, now - duration)
    const mine = owner === undefined ? undefined : this.#reserved.get(owner)
    if (mine !== undefined && mine > now) return mine - now
    const free = nextStart(this.#starts, max, duration, now)
    // An owner with a reservation is already part of the plan. Every other owner starts after the whole plan.
    const at = mine === undefined ? Math.max(free, nextStart(this.#planned, max, duration, now)) : free
    if (at > now && owner === undefined) return at - now
    if (mine !== undefined) remove(this.#planned, mine)
    insert(this.#planned, at)
    if (at > now) {
      this.#forgetOld(now)
      this.#reserved.set(owner!, at)
      return at - now
    }
    if (mine !== undefined) this.#reserved.delete(owner!)
    insert(this.#starts, now)
    return 0
  }

  /** Takes back the newest start. */
  takeBack(): void {
    const at = this.#starts.pop()
    if (at !== undefined) remove(this.#planned, at)
  }

  #forgetOld(now: number): void {
    for (const [owner, at] of this.#reserved) {
      if (at > now - RESERVED_FOR) return
      this.#reserved.delete(owner)
    }
  }
}

/** Returns the next permitted start. A start is permitted `duration` after the start that is `max` entries before it. */
function nextStart(times: readonly number[], max: number, duration: number, now: number): number {
  return times.length < max ? now : Math.max(now, times[times.length - max]! + duration)
}

function dropUntil(times: number[], moment: number): void {
  const kept = times.findIndex((at) => at > moment)
  if (kept !== 0) times.splice(0, kept === -1 ? times.length : kept)
}

/** Inserts a moment in order. Only a reservation that was used late is not appended at the end. */
function insert(times: number[], at: number): void {
  if (times.length === 0 || times.at(-1)! <= at) times.push(at)
  else times.splice(times.findLastIndex((other) => other <= at) + 1, 0, at)
}

function remove(times: number[], at: number): void {
  const index = times.indexOf(at)
  if (index !== -1) times.splice(index, 1)
}
