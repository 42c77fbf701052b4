import type { StreamMessage } from '../../../kernel/index.ts'

/** How many jobs of a feed are kept. */
const MAX_JOBS = 200

/** Keeps the newest progress of each job while its stream is followed, for followers that join later. */
export function createLatestProgress() {
  const latest = new Map<string, { message: StreamMessage; stream: string }>()

  return {
    record(message: StreamMessage, stream: string): void {
      if (message.type !== 'progress') return
      const { jobId } = message.data as { jobId: string }
      const key = `${stream}:${jobId}`
      // Deleted first, so that the job with the newest message moves to the end and is dropped last.
      latest.delete(key)
      latest.set(key, { message, stream })
      if (latest.size > MAX_JOBS) latest.delete(latest.keys().next().value!)
    },
    each(callback: (message: StreamMessage, stream: string) => void): void {
      for (const { message, stream } of latest.values()) callback(message, stream)
    },
  }
}
