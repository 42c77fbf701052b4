import type { UIMessageChunk } from 'ai'
import type { RunContext } from '../../../../kernel/index.ts'
import { addChunk, CHUNKS, withoutUndefined, type ChunksData } from './chunks.ts'

/**
 * Stores the chunks of one call of the model. Chunks of `interval` milliseconds become one event, so that a store is not written for each
 * token. A slow store makes the events larger instead of delaying the model.
 */
export function createChunkWriter(ctx: RunContext, call: number, interval: number) {
  let pending: UIMessageChunk[] = []
  let writing: Promise<void> | undefined
  let stopTimer: (() => void) | undefined
  let failure: { error: unknown } | undefined

  function arm(): void {
    stopTimer ??= ctx.kernel.clock.setTimeout(() => {
      stopTimer = undefined
      store()
    }, interval)
  }

  function store(): void {
    stopTimer?.()
    stopTimer = undefined
    if (writing || pending.length === 0) return
    const chunks = pending
    pending = []
    writing = ctx
      .emit(CHUNKS, { chunks, call } satisfies ChunksData)
      .then(
        () => {},
        (error: unknown) => void (failure ??= { error }),
      )
      .finally(() => {
        writing = undefined
        if (pending.length > 0) arm()
      })
  }

  return {
    /** @throws the error of an earlier write, such as `LEASE_LOST` */
    write(chunk: UIMessageChunk): void {
      if (failure) throw failure.error
      addChunk(pending, withoutUndefined(chunk))
      arm()
    },
    /** Resolves when all chunks are stored. @throws the error of a write */
    async flush(): Promise<void> {
      do {
        await writing
        store()
      } while (writing)
      if (failure) throw failure.error
    },
  }
}
