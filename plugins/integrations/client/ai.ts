import type { ChatTransport, UIMessage, UIMessageChunk } from 'ai'
import { createBackoff, type BackoffOptions } from './backoff.ts'
import { responseError, QueueClientError } from './error.ts'
import type { RequestHeaders } from './frames.ts'
import { subscribe } from './subscribe.ts'

export interface ChatTransportOptions {
  /** The URL of the route that calls `handleChat`. Default `/api/chat`. */
  api?: string
  /** Members that the handler of the worker receives as `job.data.body`, next to the `body` of a single call. */
  body?: Readonly<Record<string, unknown>> | (() => Readonly<Record<string, unknown>>)
  /** The headers of every request. */
  headers?: RequestHeaders
  /** The function that sends requests. Default: the global `fetch`. */
  fetch?: typeof fetch
  /** Milliseconds between reconnections. They double from `min` (500, the server's value) to `max` (30,000). */
  backoff?: BackoffOptions
  /** Milliseconds during which a question is sent again while the server is away. It counts once. Default 30,000. */
  patience?: number
}

/** A chat as the server has stored it. */
export interface StoredChat<M extends UIMessage = UIMessage> {
  messages: M[]
  /** `answering`: a turn waits, runs or waits for an approval. `resumeStream()` follows it. */
  status: 'empty' | 'answering' | 'ready' | 'failed' | 'cancelled'
  /** Identifies the newest turn. */
  turn?: string
}

/** The response of a person to a tool call that needs approval. */
export interface ToolApproval {
  /** `part.approval.id` of the tool part. */
  id: string
  approved: boolean
  /** The model reads the reason of a refusal. */
  reason?: string
}

/** The transport of a chat whose answers are jobs, so that they survive reloads and restarts of the server. */
export interface QueueChatTransport<M extends UIMessage = UIMessage> extends ChatTransport<M> {
  /** Returns the messages of a chat. While an answer is written, it is not among them, and `resumeStream()` adds it. @throws QueueClientError */
  load(chatId: string): Promise<StoredChat<M>>
  /**
   * Approves or refuses a tool call. The answer continues on the server, and all tabs see it.
   *
   * @throws QueueClientError `WAIT_UNKNOWN` if no open turn asks for it; `WAIT_OVER` if a person has already responded
   */
  approve(chatId: string, approval: ToolApproval): Promise<void>
  /** Stops the answer that is being written, in all tabs. What was written stays. @throws QueueClientError */
  stop(chatId: string): Promise<void>
}

type Send<M extends UIMessage> = Parameters<ChatTransport<M>['sendMessages']>[0]

/**
 * Creates a transport for `useChat` and `Chat` of the AI SDK. The answer of a chat is a job. The page follows the events of the job, and
 * continues after the last one when its connection is lost.
 *
 * @example
 * const transport = createChatTransport({ api: '/api/chat' })
 * const { messages, status, resumeStream } = useChat({ id, transport, messages: (await transport.load(id)).messages })
 * onMounted(() => resumeStream())
 */
export function createChatTransport<M extends UIMessage = UIMessage>(
  options: ChatTransportOptions = {},
): QueueChatTransport<M> {
  const { api = '/api/chat', patience = 30_000 } = options

  async function request(method: string, query: Query, body?: object, extra?: Extra): Promise<unknown> {
    const { headers: given } = options
    const headers = new Headers(extra?.headers)
    for (const [name, value] of Object.entries(typeof given === 'function' ? await given() : (given ?? {})))
      headers.set(name, value)
    if (body) headers.set('content-type', 'application/json')
    const init = { method, headers, signal: extra?.signal, ...(body && { body: JSON.stringify(body) }) }
    const url = withQuery(api, query)
    const response = await (options.fetch ?? fetch)(url, init).catch((cause: unknown) => {
      extra?.signal?.throwIfAborted()
      throw new QueueClientError('UNREACHABLE', `${url} does not respond.`, { cause })
    })
    if (!response.ok) throw await responseError(response)
    return response.status === 204 ? undefined : response.json()
  }

  /** Sends a question until the server has stored it. The id of its turn makes repeated requests harmless. */
  async function ask(body: object, extra: Extra): Promise<void> {
    const backoff = createBackoff({ min: 500, ...options.backoff })
    const since = Date.now()
    for (;;) {
      try {
        return void (await request('POST', {}, body, extra))
      } catch (error) {
        const passing = error instanceof QueueClientError && error.passing && Date.now() - since < patience
        if (!passing) throw error
        await backoff.wait(extra.signal ?? NEVER, error.retryAfter)
        extra.signal?.throwIfAborted()
      }
    }
  }

  function follow(chat: string, turn: string, signal: AbortSignal | undefined): ReadableStream<UIMessageChunk> {
    const { headers, backoff, fetch: send } = options
    let close = (): void => {}
    let cancelled = false
    return new ReadableStream<UIMessageChunk>({
      start(controller) {
        const run = subscribe(withQuery(api, { chat, turn, stream: '1' }), {
          headers,
          backoff,
          fetch: send,
          signal,
          onEvent({ data }) {
            for (const chunk of (data as { chunks: UIMessageChunk[] }).chunks) controller.enqueue(chunk)
          },
          onError: (error) => controller.error(error),
          onStatus(status) {
            if (!cancelled && (status === 'ended' || status === 'closed')) controller.close()
          },
        })
        close = () => run.close()
      },
      cancel() {
        cancelled = true
        close()
      },
    })
  }

  async function stop(chatId: string): Promise<void> {
    await request('DELETE', { chat: chatId })
  }

  return {
    resumeStreamIsReplay: true,
    async sendMessages({ chatId, messages, trigger, messageId, abortSignal, headers, body }: Send<M>) {
      const turn = newTurn()
      const own = typeof options.body === 'function' ? options.body() : options.body
      const extra = { headers, signal: abortSignal }
      const question = { chat: chatId, turn, messages, trigger, messageId, body: { ...own, ...body } }
      await ask(question, extra)
      // `stop()` of the chat aborts the signal. A reload does not.
      abortSignal?.addEventListener('abort', () => void stop(chatId).catch(() => {}), { once: true })
      return follow(chatId, turn, abortSignal)
    },
    async reconnectToStream({ chatId, abortSignal, headers }) {
      const extra = { headers, signal: abortSignal }
      const { status, turn } = (await request('GET', { chat: chatId }, undefined, extra)) as StoredChat<M>
      return status === 'answering' && turn !== undefined ? follow(chatId, turn, abortSignal) : null
    },
    load: async (chatId) => (await request('GET', { chat: chatId })) as StoredChat<M>,
    async approve(chatId, approval) {
      await request('PATCH', {}, { chat: chatId, approval })
    },
    stop,
  }
}

type Query = Readonly<Record<string, string>>

interface Extra {
  headers?: ConstructorParameters<typeof Headers>[0]
  signal?: AbortSignal
}

const NEVER = new AbortController().signal

function withQuery(url: string, query: Query): string {
  const params = new URLSearchParams(query).toString()
  return params === '' ? url : `${url}${url.includes('?') ? '&' : '?'}${params}`
}

/** Browsers have `crypto.randomUUID` only on secure pages. */
function newTurn(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
