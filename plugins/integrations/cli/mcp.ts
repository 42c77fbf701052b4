import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { createServer, loadMcpSdk, MAX_CHARACTERS } from '../lib/mcp/server.ts'
import { toolsOf } from '../lib/mcp/tools.ts'
import { signalled } from '../lib/shutdown-signals.ts'
import type { Host } from './backend.ts'
import { openProject } from './project-api.ts'
import { openRemote } from './remote-api.ts'

export interface McpOptions {
  /** Whether to include tools that make changes. */
  write: boolean
  /** The address of the routes of a server, such as `https://shop.example.com/_queue/`. Default: the project. */
  url?: string
  token?: string
}

/**
 * Serves the routes of the API as tools, over standard input and output, until the input ends or a signal arrives.
 *
 * @throws QueueError `PACKAGE_MISSING`, `OPTION_INVALID`; `REQUEST_FORBIDDEN` if the server at `url` refuses
 */
export async function runMcp(host: Host, cwd: string, { write, url, token }: McpOptions): Promise<void> {
  const stop = signalled()
  const output = reserveOutput()
  const sdk = await loadMcpSdk()
  const { serveStdio, StdioServerTransport } = await import('@modelcontextprotocol/server/stdio')
  const api = url === undefined ? await openProject(host, cwd, token) : await openRemote(url, token)
  const tools = toolsOf(api.document, write)
  const transport = new StdioServerTransport(process.stdin, output)
  const serving = serveStdio(() => createServer(sdk, tools, api.ask, MAX_CHARACTERS), { transport })
  await Promise.race([stop, finished(process.stdin, { writable: false }).catch(() => {})])
  await serving.close()
  await api.close()
}

/**
 * Returns a stream to standard output. Output of the project's modules goes to standard error, because it would break the protocol.
 */
function reserveOutput(): Writable {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  return new Writable({ write: (chunk: Buffer, _encoding, done) => void write(chunk, done) })
}
