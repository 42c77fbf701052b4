import { STATUS_CODES } from 'node:http'
import { isQueueError, type SerializedError } from '../../../../kernel/index.ts'
import { HTTP_STATUS } from '../../../lib/http-status.ts'
import { parseRequest } from './chat-request.ts'
import { streamTurn } from './stream-turn.ts'
import { createTurns, type ChatQueue, type Turns } from './turns.ts'

export interface HandleChatOptions {
  /** The id of the worker whose handler is `answerChat`. */
  worker: string
  /**
   * Who sends the request, such as the id of the user of the session. A chat belongs to the owner who began it, and does not exist for
   * others. Pass the same text for all requests if chats are not private.
   */
  owner: string
  /** The text that a page shows for an answer that has failed. Default: the message of `AI_BUDGET_EXCEEDED`, and one text for all others. */
  errorText?: (error: SerializedError) => string
}

/**
 * Handles the requests of `createChatTransport`: starts a turn, streams its answer, returns the messages of a chat, stops a turn, and
 * passes approvals on. Authenticate the sender first.
 *
 * @example
 * export default defineEventHandler(async (event) => {
 *   const { user } = await requireUserSession(event)
 *   return handleChat(useQueue(), toWebRequest(event), { worker: 'chat', owner: user.id })
 * })
 */
export async function handleChat(queue: ChatQueue, request: Request, options: HandleChatOptions): Promise<Response> {
  try {
    const { worker, owner, errorText = textOf } = options
    return await respond(queue, request, createTurns({ queue, worker, owner }), errorText)
  } catch (error) {
    return problem(queue, error)
  }
}

async function respond(
  queue: ChatQueue,
  request: Request,
  turns: Turns,
  errorText: (error: SerializedError) => string,
): Promise<Response> {
  const asked = await parseRequest(request, queue.config.payloadLimit)
  switch (asked.type) {
    case 'ask':
      await turns.ask(asked)
      return Response.json({ turn: asked.turn }, { status: 202 })
    case 'approve':
      await turns.approve(asked)
      return new Response(null, { status: 204 })
    case 'stop':
      await turns.stop(asked.chat)
      return new Response(null, { status: 204 })
    case 'stream': {
      const job = await turns.ofTurn(asked.chat, asked.turn ?? '')
      return streamTurn(queue, job, { after: asked.after, signal: request.signal, errorText })
    }
    case 'load':
      return Response.json(await load(turns, asked.chat), { headers: { 'cache-control': 'no-store' } })
  }
}

async function load(turns: Turns, chat: string): Promise<object> {
  const job = await turns.newest(chat)
  if (!job) return { messages: [], status: 'empty' }
  const { messages, turn } = job.data as { messages: unknown[]; turn: string }
  const status = await turns.statusOf(job)
  if (status === 'running') return { messages, turn, status: 'answering' }
  const answer = await turns.answerOf(job)
  return {
    messages: answer ? [...messages, answer] : messages,
    turn,
    status: status === 'completed' ? 'ready' : status,
  }
}

function textOf({ code, message }: SerializedError): string {
  return code === 'AI_BUDGET_EXCEEDED' ? message : 'The answer has failed. Try again.'
}

/** Describes an error to the page. An internal error is reported here and not shown there. */
function problem(queue: ChatQueue, error: unknown): Response {
  const known = isQueueError(error) ? (error.details?.status ?? HTTP_STATUS[error.code]) : undefined
  const status = typeof known === 'number' ? known : 500
  if (status === 500) queue.reporter.error('A request of a chat failed.', error)
  const facts =
    status === 500 || !isQueueError(error)
      ? { code: 'INTERNAL', detail: 'Something went wrong here. Try again later.' }
      : { code: error.code, detail: error.message }
  const body = { type: 'about:blank', title: STATUS_CODES[status], status, ...facts }
  return Response.json(body, { status, headers: { 'content-type': 'application/problem+json' } })
}
