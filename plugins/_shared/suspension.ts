import type { Deferral } from '../../kernel/index.ts'

/** How something that may wait stands, for those who cannot be thrown at. */
export type Suspendable = { over: true; result?: unknown } | { over: false; until: number }

/** A handler, or what it calls, has thrown that it wants to go on later. */
export function isDeferral(thrown: unknown): thrown is Deferral {
  return typeof thrown === 'object' && thrown !== null && 'runAt' in thrown && 'holdQueue' in thrown
}

/** Without a result that is none, which would have to be written down as such. */
export function over(result: unknown): Suspendable {
  return result === undefined ? { over: true } : { over: true, result }
}

export async function suspendable(call: () => Promise<unknown>): Promise<Suspendable> {
  try {
    return over(await call())
  } catch (thrown) {
    if (isDeferral(thrown)) return { over: false, until: thrown.runAt }
    throw thrown
  }
}
