import { isMoment, QueueError, type JobRecord } from '../../../../kernel/index.ts'

/** The position of a job in the order of a search. It never changes. */
export type JobPosition = Pick<JobRecord, 'createdAt' | 'queue' | 'id'>

/** Encodes the position of the last job of a page as a string. */
export function encodeCursor({ createdAt, queue, id }: JobPosition): string {
  return Buffer.from(JSON.stringify([createdAt, queue, id])).toString('base64url')
}

/** @throws QueueError `OPTION_INVALID` for text that `encodeCursor` did not write */
export function decodeCursor(cursor: string): JobPosition {
  try {
    const [createdAt, queue, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    if (typeof createdAt === 'number' && isMoment(createdAt) && typeof queue === 'string' && typeof id === 'string') {
      return { createdAt, queue, id }
    }
  } catch {
    // Not JSON.
  }
  const message = `"after" is not a cursor of a job search: "${cursor.slice(0, 100)}". Pass the "next" of the previous page unchanged.`
  throw new QueueError('OPTION_INVALID', message, { details: { option: 'after' } })
}
