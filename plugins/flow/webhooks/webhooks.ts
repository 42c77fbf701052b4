import { QueueError, type Kernel } from '../../../kernel/index.ts'
import { receiveBody } from '../../lib/request-body.ts'
import { answerError } from './answers.ts'

export type WebhookHandler = (request: Request, rest: string) => Promise<Response>

export interface Webhooks {
  /**
   * Answers requests whose path starts with a prefix such as `wait/`; of several the longest counts.
   * `rest` is the path after it, decoded. The body has been received, so that reading it takes no
   * time and can be done again from a clone. A coded error that the handler throws becomes its answer.
   *
   * @throws QueueError `WEBHOOK_INVALID` for a prefix that is taken, or does not end in a slash
   */
  route(prefix: string, handler: WebhookHandler): void
  /**
   * The absolute URL of a path below `webhooks.baseUrl`. Encode what you put into it.
   *
   * @throws QueueError `CONFIG_INVALID` when `webhooks.baseUrl` is not set
   */
  url(path: string): string
  /**
   * For HTTP servers: answers a request whose path lies below that of `webhooks.baseUrl`, or below
   * `root`, which a server names that has taken off the beginning of the path, or has its own.
   * `root` starts and ends with a slash; default `/_queue/`. Never rejects.
   *
   * @example
   * app.all('/_queue/**', (event) => kernel.webhooks.fetch(toRequest(event)))
   */
  fetch(request: Request, root?: string): Promise<Response>
}

/** Where `fetch` looks as long as nobody has said anything else. */
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
      throw new QueueError('WEBHOOK_UNKNOWN', `Nothing answers ${url.pathname} here.`)
    }
    return { handler: routes.get(prefix)!, rest: decode(path.slice(prefix.length)) }
  }

  return {
    route(prefix, handler) {
      if (!/^[^/].*\/$/.test(prefix) || new URL(prefix, 'http://x/').pathname !== `/${prefix}`) {
        const expected = 'A prefix is a path that ends in a slash and does not start with one, such as "wait/"'
        throw new QueueError('WEBHOOK_INVALID', `${expected}; got "${prefix}".`)
      }
      if (routes.has(prefix)) {
        throw new QueueError('WEBHOOK_INVALID', `Two handlers want the webhooks below "${prefix}". Rename one.`)
      }
      routes.set(prefix, handler)
    },
    url(path) {
      if (base) return new URL(`./${path.replace(/^\/+/, '')}`, base).href
      const hint = 'Set webhooks.baseUrl, or NUXT_QUEUE_WEBHOOKS_BASE_URL, such as "https://example.com/_queue/".'
      throw new QueueError('CONFIG_INVALID', `The URL of "${path}" is not known: nobody has said where it is. ${hint}`)
    },
    async fetch(request, root = base?.pathname ?? DEFAULT_PATH) {
      try {
        const { handler, rest } = find(new URL(request.url), root)
        return await handler(await withBody(request, maxBody), rest)
      } catch (error) {
        return answerError(error, reporter)
      }
    },
  }
}

/** The same request with its body received. @throws QueueError `PAYLOAD_TOO_LARGE` */
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
    throw new QueueError('WEBHOOK_INVALID', `The path "${path}" is not encoded as a URL has to be.`)
  }
}
