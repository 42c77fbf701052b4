/** Returns a generator of reproducible numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Returns a function that picks a random item. */
export function picker(random: () => number): <T>(items: readonly T[]) => T {
  return (items) => items[Math.floor(random() * items.length)]!
}

/** Yields rounds of a randomized test, each with its own generator. The variable `HOSTILE_ROUNDS` overrides their number. */
export function* hostileRounds(few = 8): Generator<[round: number, random: () => number]> {
  const rounds = Number(process.env.HOSTILE_ROUNDS ?? few)
  for (let round = 1; round <= rounds; round++) yield [round, seeded(round)]
}
