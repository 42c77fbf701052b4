import { QueueError } from '../../../kernel/index.ts'
import type { ApiDocument } from '../lib/mcp/tools.ts'
import { requestHeaders, type Api } from './api.ts'
import { parseRemote } from './remote.ts'

/** How long the server may take to show its document, in milliseconds. */
const DOCUMENT_TIMEOUT = 30_000

/**
 * Opens the API of a server.
 *
 * @throws QueueError `OPTION_INVALID`; `REQUEST_FORBIDDEN` if the server does not show its document
 */
export async function openRemote(url: string, token: string | undefined): Promise<Api> {
  const base = new URL('api/', parseRemote(url))
  const ask: Api['ask'] = ({ method, path, body }, signal) =>
    // A redirect could carry the token to another server.
    fetch(base.href + path, {
      ...{ method, headers: requestHeaders(body, token), signal, redirect: 'error' },
      ...(body !== undefined && { body }),
    })
  const response = await ask({ method: 'GET', path: 'openapi.json' }, AbortSignal.timeout(DOCUMENT_TIMEOUT))
  if (!response.ok) throw refused(base, response.status)
  return { document: (await response.json()) as ApiDocument, ask, close: async () => {} }
}

function refused({ href }: URL, status: number): QueueError {
  const hint = 'Check the address, and pass a token that may read with --token or NUXT_QUEUE_TOKEN.'
  return new QueueError('REQUEST_FORBIDDEN', `${href}openapi.json responded with ${status}. ${hint}`)
}
