import { z } from 'zod'
import { QueueError } from '../../../../kernel/index.ts'
import { parseSync } from '../../../lib/parse.ts'
import { holdBody, receiveBody } from '../../../lib/request-body.ts'

/** An id that a page chooses. */
const id = z.string().min(1).max(200)

/** A message of a page. Pages must not write messages of the system. */
const message = z.looseObject({
  id: z.string().max(200),
  role: z.enum(['user', 'assistant']),
  parts: z.array(z.looseObject({ type: z.string().max(200) })).max(2_000),
})

const question = z.strictObject({
  chat: id,
  turn: id,
  messages: z
    .array(message)
    .min(1)
    .max(2_000)
    .refine((all) => all.at(-1)?.role === 'user', 'The last message must be the question of a user.'),
  trigger: z.enum(['submit-message', 'regenerate-message']),
  messageId: z.string().max(200).optional(),
  body: z.record(z.string().max(200), z.unknown()).optional(),
})

const approval = z.strictObject({
  chat: id,
  approval: z.strictObject({
    id: z.string().min(1).max(1_000),
    approved: z.boolean(),
    reason: z.string().max(2_000).optional(),
  }),
})

const query = z.object({
  chat: id,
  turn: id.optional(),
  stream: z.string().max(10).optional(),
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
})

/** What a page wants of a chat. */
export type ChatRequest =
  | ({ type: 'ask' } & z.infer<typeof question>)
  | ({ type: 'approve' } & z.infer<typeof approval>)
  | ({ type: 'load' | 'stream' | 'stop' } & z.infer<typeof query>)

/** @throws QueueError `METHOD_UNKNOWN`, `REQUEST_INVALID`, `VALIDATION_FAILED`, `PAYLOAD_TOO_LARGE` */
export async function parseRequest(request: Request, limit: number): Promise<ChatRequest> {
  const { method } = request
  if (method === 'POST') return { type: 'ask', ...parseSync(question, await bodyOf(request, limit), 'question') }
  if (method === 'PATCH') return { type: 'approve', ...parseSync(approval, await bodyOf(request, limit), 'approval') }
  if (method !== 'GET' && method !== 'DELETE') {
    const headers = { allow: 'GET, POST, PATCH, DELETE' }
    throw new QueueError('METHOD_UNKNOWN', `A chat supports ${headers.allow}; got ${method}.`, { details: { headers } })
  }
  const given = Object.fromEntries(new URL(request.url, 'http://localhost').searchParams)
  const asked = parseSync(query, given, 'query')
  if (method === 'DELETE') return { type: 'stop', ...asked }
  return { type: asked.stream === undefined ? 'load' : 'stream', ...asked }
}

async function bodyOf(request: Request, limit: number): Promise<unknown> {
  // Pages of other sites cannot send this type without asking the server first.
  if (!/^application\/json\b/i.test(request.headers.get('content-type') ?? '')) {
    const message = 'The body of a chat request must have the type application/json.'
    throw new QueueError('REQUEST_INVALID', message, { details: { status: 415 } })
  }
  const body = await receiveBody(request, limit, 'payloadLimit', holdBody(true))
  try {
    return JSON.parse(body?.toString('utf8') ?? '')
  } catch (cause) {
    throw new QueueError('REQUEST_INVALID', 'The body of the request is not JSON.', { cause })
  }
}
