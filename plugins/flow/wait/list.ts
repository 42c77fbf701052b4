import { QueueError, type PluginKernel, type RunInfo } from '../../../kernel/index.ts'
import { between, checkOptions, checkString } from '../../lib/check-options.ts'
import { awaitingKey, resumedKey, shownName } from '../lib/wait-record.ts'
import { WAIT_QUEUE } from './agenda.ts'
import { COMPLETION_CHECKS, WEBHOOK_EVENT, type CompletionOptions, type WaitRecord } from './record.ts'
import type { WaitStreams } from './streams.ts'
import type { WaitingJob } from './wait-index.ts'

/** A wait of a job for an event or a request. Moments are in milliseconds since the epoch. */
export interface OpenWaitInfo {
  runId: string
  jobId: string
  queue: string
  /** The name of the wait, unique among the waits of the job. */
  name: string
  kind: 'event' | 'webhook'
  /** The name and the key of the event. Absent for a webhook. */
  event?: string
  key?: string
  /** When the wait began. */
  startedAt: number
  /** When the wait times out. Absent without a timeout. */
  until?: number
}

export interface OpenWaitsQuery {
  /** The `next` of the previous page. */
  after?: string
  /** How many streams of waits to read, 1 to 500. Each has the waits for one name and key. Default 100. */
  limit?: number
}

type Position = Pick<RunInfo, 'runId' | 'startedAt'>

/** Lists open waits. Each stream of waits is a run, so that the index of runs has a page of them. */
export function createWaitList(kernel: PluginKernel, streams: WaitStreams) {
  const events = () => kernel.port('events')

  /** Returns an open wait, or `undefined` if it is over or belongs to an ended job. */
  async function describe(waitId: string, { runId, jobId, queue }: WaitingJob): Promise<OpenWaitInfo | undefined> {
    const index = waitId.lastIndexOf('/')
    const name = waitId.slice(jobId.length + 1, index)
    const begun = await events().byKey(runId, awaitingKey(jobId, name))
    if (!begun || (await events().byKey(runId, resumedKey(jobId, name)))) return undefined
    const { parts, until } = begun.data as WaitRecord
    const part = parts.filter((one) => 'event' in one)[Number(waitId.slice(index + 1))]
    if (!part) return undefined
    return {
      ...{ runId, jobId, queue, name: shownName(name), kind: part.type },
      ...(part.type === 'event' && { event: part.event, key: part.key }),
      startedAt: begun.ts,
      ...(until !== undefined && { until }),
    }
  }

  async function openWaits(query: OpenWaitsQuery = {}) {
    const { after, limit = 100 } = checkOptions('openWaits()', query, { after: checkString, limit: between(1, 500) })
    const position = after === undefined ? undefined : decode(after)
    const filter = { queue: WAIT_QUEUE, status: 'running', limit } as const
    const runs = await events().runs.list({ ...filter, ...(position && { after: position }) })
    const found = await Promise.all(
      runs.map(async ({ runId }) => {
        const { open } = await streams.waitIndex(runId)
        return Promise.all(Object.entries(open).map(([id, job]) => describe(id, job)))
      }),
    )
    const waits = found.flat().filter((wait) => wait !== undefined)
    return { waits, ...(runs.length === limit && { next: encode(runs.at(-1)!) }) }
  }

  /** @throws QueueError `WAIT_UNKNOWN`, `WAIT_OVER` */
  async function completeWait(
    job: Pick<WaitingJob, 'runId' | 'jobId'>,
    payload?: unknown,
    name?: string,
    options: CompletionOptions = {},
  ): Promise<void> {
    const { headers } = checkOptions('completeWait()', options, COMPLETION_CHECKS)
    const { runId, jobId } = job
    const known = await events().read(runId, { types: ['step.awaiting', 'step.resumed'] })
    const ofJob = known.filter(({ stepId }) => stepId === jobId)
    const isNamed = (record: WaitRecord): boolean => name === undefined || shownName(record.name) === name
    const begun = ofJob.filter(({ type, data }) => type === 'step.awaiting' && isNamed(data as WaitRecord))
    const over = new Set(ofJob.flatMap(({ type, key }) => (type === 'step.resumed' ? [key] : [])))
    if (begun.length === 0) throw unknown(jobId, runId)
    const record = begun.map(({ data }) => data as WaitRecord).findLast((one) => !over.has(resumedKey(jobId, one.name)))
    const part = record?.parts.find((one) => 'event' in one)
    if (!record) throw isOver(jobId)
    if (!part) throw unknown(jobId, runId)
    if (part.type === 'event') return void (await kernel.sendEvent(part.event, payload, { key: part.key, headers }))
    const { deduplicated } = await kernel.sendReserved(WEBHOOK_EVENT, payload, { id: part.key, key: part.key, headers })
    if (deduplicated) throw isOver(jobId)
  }

  return { openWaits, completeWait }
}

function unknown(jobId: string, runId: string): QueueError {
  const hint = 'List open waits with openWaits().'
  return new QueueError(
    'WAIT_UNKNOWN',
    `Job "${jobId}" of run "${runId}" waits for no such event or request. ${hint}`,
    {
      details: { status: 404 },
    },
  )
}

function isOver(jobId: string): QueueError {
  return new QueueError('WAIT_OVER', `The wait of job "${jobId}" is over.`, { details: { status: 409 } })
}

function encode({ startedAt, runId }: Position): string {
  return Buffer.from(JSON.stringify([startedAt, runId])).toString('base64url')
}

/** @throws QueueError `OPTION_INVALID` */
function decode(cursor: string): Position {
  try {
    const [startedAt, runId] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    if (typeof startedAt === 'number' && typeof runId === 'string') return { startedAt, runId }
  } catch {
    // Not JSON.
  }
  throw new QueueError(
    'OPTION_INVALID',
    '"after" is not a cursor of open waits. Pass the "next" of the previous page unchanged.',
  )
}
