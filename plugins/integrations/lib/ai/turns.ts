import { createHash } from 'node:crypto'
import type { UIMessage, UIMessageChunk } from 'ai'
import { QueueError, type JobRecord, type Kernel, type RunInfo } from '../../../../kernel/index.ts'
import { loadAiSdk } from './call-model.ts'
import type { ChatRequest } from './chat-request.ts'
import { APPROVAL, CHUNKS, dataOf, chunksKey, requestName } from './chunks.ts'
import type { ChatTurn, TokenUsage } from './options.ts'
import { approvalKey } from './run-tool.ts'

/** The parts of a kernel that a chat uses. `useQueue()` has them. */
export type ChatQueue = Omit<Kernel, 'enqueue'>

type Ask = Extract<ChatRequest, { type: 'ask' }>
type Approve = Extract<ChatRequest, { type: 'approve' }>

interface Chat {
  queue: ChatQueue
  worker: string
  owner: string
}

/** Finds and starts the turns of the chats of one owner. Tags contain a hash of the owner, so no id of a page leads to chats of others. */
export function createTurns({ queue, worker, owner }: Chat) {
  const tagOf = (kind: 'chat' | 'turn', ...ids: string[]): string => {
    const hash = createHash('sha256').update(JSON.stringify([worker, owner, ...ids]))
    return `ai.${kind}:${hash.digest('base64url')}`
  }

  async function withTag(tag: string): Promise<JobRecord | undefined> {
    const { jobs } = await queue.findJobs({ tag, limit: 1 })
    return jobs[0]
  }

  const newest = (chat: string): Promise<JobRecord | undefined> => withTag(tagOf('chat', chat))

  /** The log knows the end of a run before the queue does. */
  async function statusOf({ runId, state }: JobRecord): Promise<RunInfo['status']> {
    const run = await queue.port('events').runs.get(runId)
    if (run) return run.status
    return state === 'completed' || state === 'failed' || state === 'cancelled' ? state : 'running'
  }

  async function usedBefore(chat: string): Promise<number> {
    const last = await newest(chat)
    if (!last) return 0
    const { usage } = (await queue.state(last.runId)) as { usage?: TokenUsage }
    return (last.data as ChatTurn).spent + (usage?.totalTokens ?? 0)
  }

  return {
    newest,
    statusOf,
    async ofTurn(chat: string, turn: string): Promise<JobRecord> {
      const job = await withTag(tagOf('turn', chat, turn))
      if (!job) throw unknown()
      return job
    },
    /** Stores a question once, although a page sends it again after a lost response. @throws QueueError `JOB_STATE` */
    async ask({ chat, turn, messages, trigger, messageId, body }: Ask): Promise<void> {
      const tag = tagOf('turn', chat, turn)
      if (await withTag(tag)) return
      const question = { messages: messages as unknown as UIMessage[], messageId, body }
      const data: ChatTurn = { chat, turn, owner, trigger, ...question, spent: await usedBefore(chat) }
      const tags = [tagOf('chat', chat), tag]
      const options = { tags, unique: { key: tagOf('chat', chat) } }
      const [job] = await queue.enqueueMany([{ worker, data: defined(data), options }])
      if (!job!.deduplicated || (await withTag(tag))?.id === job!.id) return
      const message = 'This chat is still answering. Wait for the answer, or stop it.'
      throw new QueueError('JOB_STATE', message)
    },
    async stop(chat: string): Promise<void> {
      const job = await newest(chat)
      if (!job) throw unknown()
      await queue.cancel(job, { reason: 'stopped by the reader' })
    },
    /** The first response to a request counts. @throws QueueError `WAIT_UNKNOWN`, `WAIT_OVER` */
    async approve({ chat, approval: { id, ...response } }: Approve): Promise<void> {
      const job = await newest(chat)
      const request = job && (await queue.port('events').byKey(job.runId, chunksKey(job.id, requestName(id))))
      if (!request || (await statusOf(job)) !== 'running') {
        throw new QueueError('WAIT_UNKNOWN', 'The chat does not wait for this approval.', { details: { status: 404 } })
      }
      const key = approvalKey(job.runId, id)
      const sent = await queue.sendEvent(APPROVAL, defined(response), { key, id: key })
      if (!sent.deduplicated) return
      throw new QueueError('WAIT_OVER', 'Somebody has already responded to this request.', { details: { status: 409 } })
    },
    /** Returns the answer of a turn as one message, or `undefined` before it begins. */
    async answerOf({ runId, id }: JobRecord): Promise<UIMessage | undefined> {
      const events = await queue.port('events').read(runId, { types: [CHUNKS] })
      const chunks = events.filter(({ stepId }) => stepId === id).flatMap((event) => dataOf(event).chunks)
      const { readUIMessageStream } = await loadAiSdk()
      const stream = new ReadableStream<UIMessageChunk>({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk)
          controller.close()
        },
      })
      let message: UIMessage | undefined
      for await (const state of readUIMessageStream({ stream })) message = state
      return message?.parts.length ? message : undefined
    },
  }
}
export type Turns = ReturnType<typeof createTurns>

function unknown(): QueueError {
  return new QueueError('JOB_NOT_FOUND', 'There is no such chat.', { details: { status: 404 } })
}

/** Returns an object without the members that are `undefined`. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T
}
