import { isQueueError, isText, QueueError, type PluginKernel, type StoredEvent } from '../../../kernel/index.ts'
import { mediaOf } from '../lib/media-type.ts'
import type { WaitPage } from './options.ts'
import { pageResponse, type PageState } from './page.ts'
import { hasHash, parseToken } from './token.ts'
import { streamOf, WEBHOOK_EVENT } from './record.ts'

/** A wait for a request, as its token finds it. */
interface Question {
  key: string
  state: Exclude<PageState, 'accepted'>
  /** A GET answers it. */
  get?: boolean
  page?: WaitPage
  /** When it times out, in milliseconds since the epoch. */
  until?: number
}

async function questionOf(kernel: PluginKernel, token: string): Promise<Question> {
  const { key, secret } = parseToken(token)
  if (!isText(token)) return { key, state: 'unknown' }
  const events = await kernel.port('events').read(streamOf(WEBHOOK_EVENT, key))
  const registered = events.findLast(({ type }) => type === 'wait.registered')
  if (!registered) return { key, state: events.length > 0 ? 'expired' : 'unknown' }
  const { get, page, until, hashed } = registered.data as Omit<Question, 'state'> & { hashed?: boolean }
  const isIts = ({ type, data }: StoredEvent): boolean =>
    type === 'wait.token' && hasHash(secret!, (data as { hash: string }).hash)
  if (secret === undefined ? hashed : !events.some(isIts)) return { key, state: 'unknown' }
  return { key, state: stateOf(events, until, kernel.clock.now()), get, page, until }
}

function stateOf(events: readonly StoredEvent[], until = Infinity, now: number): Question['state'] {
  if (events.some(({ type }) => type === 'wait.event')) return 'answered'
  return events.some(({ type }) => type === 'wait.closed') || now > until ? 'expired' : 'open'
}

/**
 * Takes what comes to the URL of a wait. The first one counts.
 *
 * @throws QueueError `WAIT_UNKNOWN`, `WAIT_OVER`
 */
export async function resolveWebhook(kernel: PluginKernel, token: string, payload: unknown): Promise<void> {
  const { state, key } = await questionOf(kernel, token)
  if (state !== 'open') throw refusal(state)
  const { deduplicated } = await kernel.sendReserved(WEBHOOK_EVENT, payload, { id: key, key })
  if (deduplicated) throw refusal('answered')
}

function refusal(state: Exclude<Question['state'], 'open'>): QueueError {
  if (state === 'unknown') {
    const hint = 'The URL may be misspelt, or the wait ended some time ago.'
    return new QueueError('WAIT_UNKNOWN', `Nobody waits here. ${hint}`, { details: { status: 404, state } })
  }
  const [how, status] =
    state === 'answered' ? ['it was answered before', 409] : ['it has timed out or its run has ended', 410]
  return new QueueError('WAIT_OVER', `This wait is over: ${how}.`, { details: { status, state } })
}

/**
 * Answers requests to the URL of a wait. Only a POST resolves it, since mail scanners and previews follow links: browsers
 * are shown a page with a button that posts. A GET resolves the waits that say so.
 */
export function createAnswers(kernel: PluginKernel) {
  return async (request: Request, token: string): Promise<Response> => {
    const { method, headers, url } = request
    const isPerson = (headers.get('accept') ?? '').includes('text/html')
    const { searchParams: answer } = new URL(url)
    if (method === 'GET' || method === 'HEAD') {
      const { state, get, page, until } = await questionOf(kernel, token)
      if (method === 'HEAD' || !get || isAhead(headers)) {
        if (isPerson) return pageResponse({ ...page, state, until, answer }, request)
        if (state !== 'open' && method === 'GET') throw refusal(state)
        throw methodUnknown(method)
      }
    } else if (method !== 'POST') throw methodUnknown(method)
    try {
      await resolveWebhook(kernel, token, await payloadOf(request))
    } catch (error) {
      const state = isQueueError(error) && (error.details?.state as PageState | undefined)
      if (!isPerson || !state) throw error
      return pageResponse({ state }, request)
    }
    if (isPerson) return pageResponse({ state: 'accepted', answer }, request)
    return Response.json({ status: 'accepted' }, { status: 202 })
  }
}

/** A browser that loads a page before anybody has asked for it. */
function isAhead(headers: Headers): boolean {
  return /\b(?:prefetch|prerender|preview)\b/i.test(`${headers.get('sec-purpose')} ${headers.get('purpose')}`)
}

function methodUnknown(method: string): QueueError {
  const message = `${method} does not answer this wait. Send a POST, or open the URL in a browser.`
  return new QueueError('WAIT_INVALID', message, { details: { status: 405, headers: { allow: 'GET, HEAD, POST' } } })
}

/**
 * The body of a request: JSON and forms parsed, anything else as text; the parameters of its URL when it has none.
 *
 * @throws QueueError `WAIT_INVALID` for a body that says it is JSON and is not
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
    throw new QueueError('WAIT_INVALID', 'The body is not valid JSON.', { cause, details: { status: 400 } })
  }
}
