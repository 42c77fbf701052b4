import { isQueueError, isText, QueueError, type PluginKernel, type StoredEvent } from '../../../kernel/index.ts'
import { checkOptions } from '../../lib/check-options.ts'
import { traceHeadersOf } from '../../lib/trace-headers.ts'
import { mediaOf } from '../lib/media-type.ts'
import type { WaitPage } from './options.ts'
import { pageResponse, type PageState } from './page.ts'
import { hasHash, parseToken } from './token.ts'
import { COMPLETION_CHECKS, streamOf, WEBHOOK_EVENT, type CompletionOptions } from './record.ts'

/** The wait for a request that a token identifies. */
interface WebhookWait {
  key: string
  state: Exclude<PageState, 'accepted'>
  /** A GET resolves it. */
  get?: boolean
  page?: WaitPage
  /** When it times out, in milliseconds since the epoch. */
  until?: number
}

async function findWait(kernel: PluginKernel, token: string): Promise<WebhookWait> {
  const { key, secret } = parseToken(token)
  if (!isText(token)) return { key, state: 'unknown' }
  const events = await kernel.port('events').read(streamOf(WEBHOOK_EVENT, key))
  const registered = events.findLast(({ type }) => type === 'wait.registered')
  if (!registered) return { key, state: events.length > 0 ? 'expired' : 'unknown' }
  const { get, page, until, hashed } = registered.data as Omit<WebhookWait, 'state'> & { hashed?: boolean }
  const isToken = ({ type, data }: StoredEvent): boolean =>
    type === 'wait.token' && hasHash(secret!, (data as { hash: string }).hash)
  if (secret === undefined ? hashed : !events.some(isToken)) return { key, state: 'unknown' }
  return { key, state: stateOf(events, until, kernel.clock.now()), get, page, until }
}

function stateOf(events: readonly StoredEvent[], until = Infinity, now: number): WebhookWait['state'] {
  if (events.some(({ type }) => type === 'wait.event')) return 'answered'
  return events.some(({ type }) => type === 'wait.closed') || now > until ? 'expired' : 'open'
}

/**
 * Resolves a wait with the payload of a request to its URL. Only the first request counts.
 *
 * @throws QueueError `WAIT_UNKNOWN`, `WAIT_OVER`
 */
export async function resolveWebhook(
  kernel: PluginKernel,
  token: string,
  payload: unknown,
  options: CompletionOptions = {},
): Promise<void> {
  const { headers } = checkOptions('resolveWait()', options, COMPLETION_CHECKS)
  const { state, key } = await findWait(kernel, token)
  if (state !== 'open') throw refusal(state)
  const { deduplicated } = await kernel.sendReserved(WEBHOOK_EVENT, payload, { id: key, key, headers })
  if (deduplicated) throw refusal('answered')
}

function refusal(state: Exclude<WebhookWait['state'], 'open'>): QueueError {
  if (state === 'unknown') {
    const hint = 'Check that the URL is complete. The wait may also have ended some time ago.'
    return new QueueError('WAIT_UNKNOWN', `No job waits at this URL. ${hint}`, { details: { status: 404, state } })
  }
  const [how, status] =
    state === 'answered' ? ['it was already answered', 409] : ['it timed out, or its run has ended', 410]
  return new QueueError('WAIT_OVER', `This wait is over: ${how}.`, { details: { status, state } })
}

/**
 * Handles requests to the URL of a wait. Only a POST resolves the wait, because mail scanners and previews follow links.
 * A browser that sends a GET receives a page with a button that posts. With the option `get`, a GET resolves the wait.
 */
export function createWaitHandler(kernel: PluginKernel) {
  return async (request: Request, token: string): Promise<Response> => {
    const { method, headers, url } = request
    const isPerson = (headers.get('accept') ?? '').includes('text/html')
    const { searchParams: answer } = new URL(url)
    if (method === 'GET' || method === 'HEAD') {
      const { state, get, page, until } = await findWait(kernel, token)
      if (method === 'HEAD' || !get || isPrefetch(headers)) {
        if (isPerson) return pageResponse({ ...page, state, until, answer }, request)
        if (state !== 'open' && method === 'GET') throw refusal(state)
        throw methodNotAllowed(method)
      }
    } else if (method !== 'POST') throw methodNotAllowed(method)
    try {
      await resolveWebhook(kernel, token, await payloadOf(request), { headers: traceHeadersOf(request) })
    } catch (error) {
      const state = isQueueError(error) && (error.details?.state as PageState | undefined)
      if (!isPerson || !state) throw error
      return pageResponse({ state }, request)
    }
    if (isPerson) return pageResponse({ state: 'accepted', answer }, request)
    return Response.json({ status: 'accepted' }, { status: 202 })
  }
}

/** Whether a browser loads the page in advance, before a person has opened it. */
function isPrefetch(headers: Headers): boolean {
  return /\b(?:prefetch|prerender|preview)\b/i.test(`${headers.get('sec-purpose')} ${headers.get('purpose')}`)
}

function methodNotAllowed(method: string): QueueError {
  const message = `A ${method} request does not resolve this wait. Send a POST, or open the URL in a browser.`
  return new QueueError('METHOD_UNKNOWN', message, { details: { headers: { allow: 'GET, HEAD, POST' } } })
}

/**
 * Returns the payload of a request: its body, parsed if it is JSON or a form, otherwise as text. Without a body, returns the
 * parameters of the URL.
 *
 * @throws QueueError `REQUEST_INVALID` when the content type is JSON and the body is not
 */
async function payloadOf(request: Request): Promise<unknown> {
  const text = await request.text()
  if (text === '') return Object.fromEntries(new URL(request.url).searchParams)
  const media = mediaOf(request.headers)
  if (media === 'form') return Object.fromEntries(new URLSearchParams(text))
  if (media === 'other') return text
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    const message = 'The content type of the request is JSON, but its body is not valid JSON.'
    throw new QueueError('REQUEST_INVALID', message, { cause })
  }
}
