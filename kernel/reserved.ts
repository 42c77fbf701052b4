import { QueueError } from './errors.ts'

/*
 * Names that belong to this package. A user who could write them could forge the history of a run: its end, the result of a step, the
 * result of a wait. Plugins write them through `PluginKernel`, which handlers and applications do not have.
 *
 * A name that ends in a dot, a colon or `_` reserves all names that begin with it.
 */

const RESERVED = {
  /** Types of events in the log, and names of events on the bus. */
  event: `flow. step. state. runner. worker. wait. await. debounce. unique. emit webhook client.message group.closed
    schedule.starting schedule.started trigger.fired trigger.refused
    stats.bucket errors.seen errors.status errors.state audit.recorded _`,
  /** Keys of events in the log. */
  key: `end end: retry: unknown: queued: emit: compensating flow. debounce. unique. step: awaiting: resumed: told: returned:
    child: child.started:`,
  /** Ids of runs: streams in which plugins keep their own data. */
  run: '_ registry wait: schedule: trigger: debounce. unique.',
  /** Queues of plugins. Only their plugin may enqueue into them. */
  queue: '_',
}
const PATTERNS = Object.fromEntries(
  Object.entries(RESERVED).map(([kind, names]) => {
    const parts = names.split(/\s+/).map((name) => name.replaceAll('.', '[.]') + (/[.:_]$/.test(name) ? '' : '$'))
    return [kind, new RegExp(`^(?:${parts.join('|')})`)]
  }),
) as Record<keyof typeof RESERVED, RegExp>

export function isReserved(kind: keyof typeof RESERVED, name: string): boolean {
  return PATTERNS[kind].test(name)
}

/** @throws QueueError `NAME_RESERVED` */
export function assertFree(kind: keyof typeof RESERVED, name: string): void {
  if (!isReserved(kind, name)) return
  const message = `"${name}" is a name that only plugins may write (${kind}: ${RESERVED[kind].replaceAll(/\s+/g, ' ')})`
  throw new QueueError('NAME_RESERVED', `${message}. Choose another one.`, { retryable: false })
}

/** Checks what handlers and applications append. @throws QueueError `NAME_RESERVED` */
export function assertFreeEvent(type: string, key?: string): void {
  assertFree('event', type)
  if (key !== undefined) assertFree('key', key)
}
