import { isDeepStrictEqual } from 'node:util'
import type { UIMessageChunk } from 'ai'
import { addChunk, isTextDelta, withoutUndefined } from './chunks.ts'

/**
 * Continues a part of an answer that an earlier attempt has begun. The model is asked again, and its new answer is compared with the text
 * that readers have already seen:
 *
 * ```
 * comparing ── the same so far ──────────────> nothing is written, readers keep what they see
 *     ├─────── all of the old text was seen ──> passing: every further chunk is written
 *     └─────── something differs ─────────────> `reset-step` removes the old text, the new answer replaces it, then passing
 * ```
 *
 * @param streamed the chunks that are stored, in order
 */
export function createContinuation(streamed: readonly UIMessageChunk[], write: (chunk: UIMessageChunk) => void) {
  /** What has been stored and not yet been seen again. */
  const rest = remaining(streamed)
  /** The new answer, as long as it is the same. */
  const seen: UIMessageChunk[] = []

  function part(): void {
    write({ type: 'reset-step' })
    rest.length = 0
    // `start-step` has been stored, and `reset-step` keeps it.
    for (const chunk of seen.splice(0)) if (chunk.type !== 'start-step') write(chunk)
  }

  return {
    accept(given: UIMessageChunk): void {
      if (rest.length === 0) return write(given)
      const chunk = withoutUndefined(given)
      addChunk(seen, chunk)
      const [next] = rest
      if (isTextDelta(chunk) && isTextDelta(next) && chunk.type === next.type && chunk.id === next.id) {
        if (next.delta.startsWith(chunk.delta)) {
          rest[0] = { ...next, delta: next.delta.slice(chunk.delta.length) }
          if (next.delta.length === chunk.delta.length) rest.shift()
          return
        }
        // The store has a part of this chunk, and nothing after it.
        if (rest.length > 1 || !chunk.delta.startsWith(next.delta)) return part()
        rest.shift()
        return write({ ...chunk, delta: chunk.delta.slice(next.delta.length) })
      }
      if (!isDeepStrictEqual(chunk, next)) return part()
      rest.shift()
    },
    /** Called after the last chunk of the new answer, which may be shorter than the old one. */
    end(): void {
      if (rest.length > 0) part()
    },
  }
}

function remaining(streamed: readonly UIMessageChunk[]): UIMessageChunk[] {
  let rest: UIMessageChunk[] = []
  for (const chunk of streamed) {
    if (chunk.type === 'reset-step') rest = rest.filter(({ type }) => type === 'start-step')
    else addChunk(rest, chunk)
  }
  return rest
}
