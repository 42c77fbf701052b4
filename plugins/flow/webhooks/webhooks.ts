import { QueueError, type Kernel } from '../../../kernel/index.ts'
import { receiveBody } from '../../lib/request-body.ts'
import { errorResponse } from './error-response.ts'

export type WebhookHandler = (request: Request, rest: string) => Promise<Response>

export interface Webhooks {
  /**
   * Registers a handler for requests whose path starts with a prefix such as `wait/`. If several prefixes match, the
   * longest counts. `rest` is the decoded path after the prefix. The body has been received already, so a handler can
   * read it more than once from a clone. An error with a code that the handler throws becomes the response.
   *
   * @throws QueueError `WEBHOOK_INVALID` for a prefix that is in use or does not end in a slash
   */
  route(prefix: string, handler: WebhookHandler): void
  /**
   * Returns the absolute URL of a path below `webhooks.baseUrl`. The path has to be URL-encoded.
   *
   * @throws QueueError `CONFIG_INVALID` when `webhooks.baseUrl` is not set
   */
  url(path: string): string
  /**
   * For HTTP servers: handles a request whose path is below the path of `webhooks.baseUrl` or below `root`. A server passes `root` if it
   * strips the beginning of the path or uses a different path. `root` starts and ends with a slash. Default `/_queue/`. Never rejects.
   *
   * @example
   * app.all('/_queue/**', (event) => kernel.webhooks.fetch(toRequest(event)))
   */
  fetch(request: Request, root?: string): Promise<Response>
}

/** The path of `fetch` without `webhooks.baseUrl` and `root`. */
const DEFAULT_PATH = '/_queue/'

export interface WebhookOptions {
  baseUrl?: string
  maxBody: number
}

export function createWebhooks({ reporter }: Pick<Kernel, 'reporter'>, { baseUrl, maxBody }: WebhookOptions): Webhooks {
  const routes = new Map<string, WebhookHandler>()
  const base = baseUrl === undefined ? undefined : withSlash(new URL(baseUrl))

  function find(url: URL, given: string): { handler: WebhookHandler; rest: string } {
    const root = [base?.pathname ?? given, given].find((one) => url.pathname.startsWith(one))
    const path = root === undefined ? undefined : url.pathname.slice(root.length)
    const prefixes = [...routes.keys()].filter((prefix) => path?.startsWith(prefix))
    const prefix = prefixes.toSorted((a, b) => b.length - a.length)[0]
    if (path === undefined || prefix === undefined) {
      throw new QueueError('WEBHOOK_UNKNOWN', `No webhook handles the path ${url.pathname}.`)
    }
    return { handler: routes.get(prefix)!, rest: decode(path.slice(prefix.length)) }
  }

  return {
    route(prefix, handler) {
      if (!/^[^/].*\/$/.test(prefix) || new URL(prefix, 'http://x/').pathname !== `/${prefix}`) {
        const expected = 'The prefix of a webhook must end in a slash and not start with one, such as "wait/"'
        throw new QueueError('WEBHOOK_INVALID', `${expected}; got "${prefix}".`)
      }
      if (routes.has(prefix)) {
        throw new QueueError(
          'WEBHOOK_INVALID',
          `The webhook prefix "${prefix}" already has a handler. Use another prefix.`,
        )
      }
      routes.set(prefix, handler)
    },
    url(path) {
      if (base) return new URL(`./${path.replace(/^\/+/, '')}`, base).href
      const hint = 'Set webhooks.baseUrl, or NUXT_QUEUE_WEBHOOKS_BASE_URL, such as "https://example.com/_queue/".'
      throw new QueueError(
        'CONFIG_INVALID',
        `The URL of "${path}" is unknown, because no base URL is configured. ${hint}`,
      )
    },
    async fetch(request, root = base?.pathname ?? DEFAULT_PATH) {
      try {
        const { handler, rest } = find(new URL(request.url), root)
        return await handler(await withBody(request, maxBody), rest)
      } catch (error) {
        return errorResponse(error, reporter)
      }
    },
  }
}

/** Returns the request with its complete body. @throws QueueError `PAYLOAD_TOO_LARGE` */
async function withBody(request: Request, limit: number): Promise<Request> {
  const body = await receiveBody(request, limit, 'webhooks.maxBody')
  if (!body) return request
  const { url, method, headers, signal } = request
  return new Request(url, { method, headers, signal, body })
}

function withSlash(url: URL): URL {
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw new QueueError('REQUEST_INVALID', `The path "${path}" is not valid URL encoding.`)
  }
}
