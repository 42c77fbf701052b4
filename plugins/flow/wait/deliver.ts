import type { Kernel, WorkerDefinition } from '../../../kernel/index.ts'
import { eventKeysOf } from '../lib/field.ts'
import { partsOf } from './request.ts'
import type { WaitStreams } from './streams.ts'

/** Stores each event under its key, and under the payload fields that the waits of workers match. */
export function deliverEvents(kernel: Kernel, streams: WaitStreams, paths: Readonly<Record<string, string>>): void {
  kernel.onEvent(async (event, { again }) => {
    const { id, name, payload, headers } = event
    for (const one of eventKeysOf(event, pathsFor(name))) {
      await streams.store(name, one, { id, payload, ...(headers && { headers }) }, again)
    }
  })

  function pathsFor(event: string): string[] {
    const awaited = kernel.registry.workers.flatMap((worker) => matchesOf(worker, event))
    return Object.hasOwn(paths, event) ? [paths[event]!, ...awaited] : awaited
  }
}

function matchesOf({ worker: { awaitBefore, awaitAfter } }: WorkerDefinition, event: string): string[] {
  return [awaitBefore, awaitAfter]
    .flatMap((options) => (options ? partsOf(options) : []))
    .flatMap((part) =>
      part.type === 'event' && part.event === event && typeof part.match === 'string' ? [part.match] : [],
    )
}
