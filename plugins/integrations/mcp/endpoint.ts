import type { Kernel } from '../../../kernel/index.ts'
import { createServer, loadMcpSdk, type CallApi } from '../lib/mcp/server.ts'
import { toolsOf, type ApiDocument } from '../lib/mcp/tools.ts'
import { peerOf, recordPeer } from '../lib/peer.ts'

type Serve = Parameters<Kernel['http']['mount']>[1]

/** Headers about the body and the connection of the outer request. All others may matter to `authorize`. */
const OWN_HEADERS =
  /^(?:accept|connection|content-.*|expect|last-event-id|mcp-.*|te|trailer|transfer-encoding|upgrade)$/

/**
 * Serves MCP over streamable HTTP without sessions: each request is self-contained, so any instance can serve it and no state is kept
 * between requests.
 */
export function createEndpoint(
  kernel: Kernel,
  { write, maxCharacters }: { write: boolean; maxCharacters: number },
): { serve: Serve; close(): Promise<void> } {
  let loading: ReturnType<typeof load> | undefined

  async function load() {
    const sdk = await loadMcpSdk()
    const tools = toolsOf((await kernel.http.describe()) as ApiDocument, write)
    return sdk.createMcpHandler(({ requestInfo }) =>
      createServer(sdk, tools, askFor(kernel, requestInfo!), maxCharacters),
    )
  }

  return {
    async serve({ request, path = '', json }) {
      if (path !== '') return new Response('There is nothing at this path. MCP is one level up.', { status: 404 })
      const body = request.method === 'POST' ? { parsedBody: await json() } : {}
      const handler = await (loading ??= load().catch((error: unknown) => {
        loading = undefined
        throw error
      }))
      return handler.fetch(request, body)
    },
    async close() {
      const handler = await loading?.catch(() => undefined)
      await handler?.close()
    },
  }
}

/** Sends requests to the API on behalf of the caller, so that each call is authorized and audited like any other request. */
function askFor(kernel: Kernel, outer: Request): CallApi {
  return ({ method, path, body }, signal) => {
    const headers = new Headers([...outer.headers].filter(([name]) => !OWN_HEADERS.test(name)))
    if (body !== undefined) headers.set('content-type', 'application/json')
    const url = new URL(`${kernel.http.path}api/${path}`, outer.url)
    const request = new Request(url, { method, headers, signal, ...(body !== undefined && { body }) })
    recordPeer(request, peerOf(outer))
    return kernel.http.fetch(request)
  }
}
