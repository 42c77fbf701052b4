/** Returns true for the engine's own queues. Their jobs and runs are counted separately from those of users. */
export function isOwnQueue(queue: string | undefined): boolean {
  return queue !== undefined && queue.startsWith('_')
}
