import { spawn } from 'node:child_process'
import type { Kernel } from '../../../kernel/index.ts'
import { signalled } from '../lib/shutdown-signals.ts'
import { configOf, openKernel, openToThisMachine, type Host } from './backend.ts'
import type { Output } from './output.ts'
import { serveRemote } from './remote.ts'

export interface UiOptions {
  port: number
  /** The address of the routes of a server, such as `https://shop.example.com/_queue/`. Default: the store of the project. */
  url?: string
  token?: string
  /** Whether to open a browser. */
  open: boolean
}

/**
 * Serves the dashboard to this machine until a signal: of a remote server, or of the store that a project names.
 *
 * @throws QueueError `DEV_MISSING` if jobs are kept in the memory of another process; `OPTION_INVALID`
 */
export async function runUi(
  host: Host,
  cwd: string,
  output: Output,
  { port, url, token, open }: UiOptions,
): Promise<void> {
  const stop = signalled()
  const serving = url === undefined ? await serveProject(host, cwd, port) : await serveRemote({ url, token, port })
  try {
    const page = `${serving.url}ui/`
    if (output.json) output.value({ url: page })
    else output.line(`The dashboard is at ${page}`)
    if (open) openBrowser(page)
    await stop
  } finally {
    await serving.close()
  }
}

/** A user who can read the configuration of the store may do everything, so the dashboard is open to this machine. */
async function serveProject(
  host: Host,
  cwd: string,
  port: number,
): Promise<{ url: string; close: () => Promise<void> }> {
  const kernel: Kernel = await openKernel(host, cwd, openToThisMachine(await configOf(host, cwd)))
  try {
    const { url } = await kernel.http.listen({ port })
    return { url: url + kernel.http.path, close: async () => void (await kernel.close()) }
  } catch (error) {
    await kernel.close()
    throw error
  }
}

/** A machine without a browser only shows the address. */
function openBrowser(url: string): void {
  const commands: Partial<Record<NodeJS.Platform, [string, string[]]>> = {
    darwin: ['open', [url]],
    win32: ['cmd', ['/c', 'start', '', url]],
  }
  const [command, args] = commands[process.platform] ?? ['xdg-open', [url]]
  const child = spawn(command, args, { stdio: 'ignore', detached: true })
  child.on('error', () => {})
  child.unref()
}
