import { createKernel, type Kernel } from '../../../kernel/index.ts'
import type { ApiDocument } from '../lib/mcp/tools.ts'
import { askApi, type Api } from './api.ts'
import { configOf, openKernel, openToThisMachine, type Host } from './backend.ts'
import { connect } from './client.ts'
import { reporter } from './output.ts'
import type { ParamsOf } from './requests.ts'

/**
 * Opens the API of the project of a folder. Each request goes to the process that runs there, or else to the store. Neither has to exist
 * yet. A store that only one process can open is closed between requests, because an agent keeps its servers running for hours.
 */
export async function openProject(host: Host, cwd: string, token: string | undefined): Promise<Api> {
  let opening: Promise<Kernel> | undefined
  let users = 0
  let closing: Promise<unknown> = Promise.resolve()

  async function open(): Promise<Kernel> {
    await closing
    return openKernel(host, cwd, openToThisMachine(await configOf(host, cwd)))
  }

  async function enter(): Promise<Kernel> {
    users++
    try {
      return await (opening ??= open())
    } catch (error) {
      users--
      opening = undefined
      throw error
    }
  }

  async function leave(kernel: Kernel): Promise<void> {
    if (--users > 0 || kernel.port('queue').capabilities.shared) return
    opening = undefined
    await (closing = kernel.close())
  }

  async function askStore(request: ParamsOf<'api'>): Promise<Response> {
    const kernel = await enter()
    try {
      const response = await askApi(kernel, request)
      return new Response(await response.text(), { status: response.status })
    } finally {
      await leave(kernel)
    }
  }

  return {
    document: await describeApi(host),
    async ask(given) {
      const request = { ...given, token } as ParamsOf<'api'>
      const running = await connect(cwd)
      if (!running) return askStore(request)
      try {
        const { status, text } = await running.ask('api', request)
        return new Response(text, { status })
      } finally {
        await running.close()
      }
    },
    async close() {
      const kernel = await opening?.catch(() => {})
      await kernel?.close()
    },
  }
}

/** Returns the document of this version. This needs no store. */
async function describeApi(host: Host): Promise<ApiDocument> {
  const kernel = await createKernel({ preset: await host.memory(), config: { registry: { dirs: [] } }, reporter })
  try {
    return (await kernel.http.describe()) as ApiDocument
  } finally {
    await kernel.close()
  }
}
