/** Whether a queue is one of the engine's own, whose jobs and runs are counted apart from those of users. */
export function isOwnQueue(queue: string | undefined): boolean {
  return queue !== undefined && queue.startsWith('_')
}
