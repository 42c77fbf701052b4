import { seeded } from '../../testing/conformance/random.ts'

/** Generates numbers that depend only on the seed. */
export function createRandom(seed: number) {
  const next = seeded(seed)
  return {
    between: (min: number, max: number): number => Math.floor(min + next() * (max - min + 1)),
    pick: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!,
  }
}
export type Random = ReturnType<typeof createRandom>

/** A number between 0 and 1 that depends only on a text, so that the same job always has the same outcome. */
export function shareOf(text: string): number {
  let hash = 2166136261
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 16777619)
  return createRandom(hash).between(0, 9999) / 10_000
}
