import { QueueError, type MaybePromise } from '../../../kernel/index.ts'
import { packageVersion } from '../../lib/package-version.ts'
import { signatureHeaders } from '../../lib/standard-webhooks.ts'
import type { Alert } from './alert.ts'
import type { AlertOptions } from './options.ts'
import { slackMessage } from './slack.ts'

/** One attempt to send an alert. */
export interface Sending {
  alert: Alert
  /** Milliseconds since the epoch. */
  now: number
  signal: AbortSignal
}
/** Sends an alert. @throws QueueError `ALERT_UNDELIVERED`, or the error of `onAlert` */
export type Send = (sending: Sending) => MaybePromise<void>

/** Returns the send function of each destination, by name. @throws QueueError `CONFIG_INVALID` if two have the same name */
export function createDestinations({ to, onAlert, timeout }: AlertOptions): Map<string, Send> {
  const all = new Map<string, Send>()
  if (onAlert) all.set('onAlert', ({ alert }) => onAlert(alert))

  for (const destination of to) {
    const kind = 'slack' in destination ? 'slack' : 'webhook'
    const name = destination.name ?? unusedName(all, kind)
    if (all.has(name)) {
      const message = `Two destinations of alerts have the name "${name}". Give one of them another name.`
      throw new QueueError('CONFIG_INVALID', message)
    }
    all.set(
      name,
      'slack' in destination
        ? ({ alert, signal }) => post(destination.slack, slackMessage(alert), {}, { name, signal, timeout })
        : ({ alert, now, signal }) => {
            const { id, rule, at } = alert
            const body = Buffer.from(
              JSON.stringify({ type: `alert.${rule}`, timestamp: new Date(at).toISOString(), data: alert }),
            )
            const headers = signatureHeaders(id, now, body, [destination.secret].flat())
            return post(destination.webhook, body, headers, { name, signal, timeout })
          },
    )
  }
  return all
}

function unusedName(all: ReadonlyMap<string, unknown>, kind: string): string {
  for (let index = 1; ; index++) {
    const name = index === 1 ? kind : `${kind}-${index}`
    if (!all.has(name)) return name
  }
}

interface PostOptions {
  name: string
  signal: AbortSignal
  /** Milliseconds. */
  timeout: number
}

/** Errors contain the name of the destination but never its URL, which may be a secret. Redirects are not followed. */
async function post(
  url: string,
  body: Buffer<ArrayBuffer>,
  headers: Record<string, string>,
  { name, signal, timeout }: PostOptions,
): Promise<void> {
  let response: Response
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': `nuxt-queue/${packageVersion()}`, ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
    })
  } catch (error) {
    signal.throwIfAborted()
    throw undelivered(name, `could not be reached (${reasonOf(error, timeout)})`)
  }
  // The body of the response is not needed. If it were left unread, its connection would stay open.
  await response.body?.cancel()
  if (response.ok) return
  const { status } = response
  if (status === 410) throw undelivered(name, 'is gone (status 410)', { retryable: false })
  const isRedirect = status >= 300 && status < 400
  throw undelivered(name, `responded with status ${status}${isRedirect ? ', and redirects are not followed' : ''}`)
}

function reasonOf(error: unknown, timeout: number): string {
  const { name, cause } = error as { name?: string; cause?: { code?: string } }
  return name === 'TimeoutError' ? `no response within ${timeout} ms` : (cause?.code ?? name ?? 'unknown')
}

function undelivered(name: string, what: string, facts: { retryable?: boolean } = {}): QueueError {
  return new QueueError('ALERT_UNDELIVERED', `Destination "${name}" of alerts ${what}.`, facts)
}
