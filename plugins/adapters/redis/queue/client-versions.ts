import type { Diagnosis } from '../../../../kernel/index.ts'
import { isInCaret, supportedRange } from '../../lib/storage-library.ts'

/** The signature that BullMQ clients write to the queues they open, such as `bullmq:6.7.0`. */
const SIGNATURE = /^bullmq(?:-\w+)?:(\d+\.\d+\.\d+.*)$/

/**
 * Says whether a BullMQ client of another version has written a queue. Its jobs may have another layout, and while it works on the
 * queue, jobs may run twice or not at all.
 *
 * @param signature the field `version` of the queue's `meta` key. Queues that no BullMQ client has opened have none
 * @param meta the `meta` key
 */
export function diagnoseClient(queue: string, signature: string | null, meta: string): Diagnosis[] {
  const range = supportedRange('bullmq')
  const version = SIGNATURE.exec(signature ?? '')?.[1]
  if (signature === null || range === undefined) return []
  if (version !== undefined && isInCaret(version, range)) return []
  const message = `Queue "${queue}" was written by ${signature.replace(':', ' ')}; this release of nuxt-queue was tested with bullmq ${range}. Jobs may not be found, or run twice.`
  const hint = `Update BullMQ in every application that uses the queue. If no application uses another version any more: HDEL ${meta} version`
  return [{ check: 'bullmq.clients', level: 'problem', message, hint }]
}
