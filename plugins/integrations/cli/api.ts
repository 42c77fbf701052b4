import type { Kernel } from '../../../kernel/index.ts'
import type { CallApi } from '../lib/mcp/server.ts'
import type { ApiDocument } from '../lib/mcp/tools.ts'
import type { ParamsOf } from './requests.ts'

/** The HTTP API of a project or of a server. */
export interface Api {
  document: ApiDocument
  ask: CallApi
  close(): Promise<void>
}

/** Sends a request to the API of a kernel in this process. */
export function askApi({ http }: Kernel, { method, path, body, token }: ParamsOf<'api'>): Promise<Response> {
  const headers = requestHeaders(body, token)
  return http.fetch(new Request(`http://localhost${http.path}api/${path}`, { method, headers, body }), {
    trusted: true,
  })
}

/** Returns the headers of a request to the API. */
export function requestHeaders(body: string | undefined, token: string | undefined): Record<string, string> {
  return {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
}
