import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Kernel } from 'nuxt-queue'
import { onApprovalAsked } from './approvals.ts'
import type { Example, Print } from './example.ts'

/** Passes HTTP requests to the kernel, like any server that supports fetch. */
async function serveWebhooks(port: number, kernelOf: () => Kernel) {
  const server = createServer((incoming, outgoing) => {
    const answer = async (): Promise<void> => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
      const { method = 'GET', url = '/' } = incoming
      const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined
      const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)])
      const request = new Request(new URL(url, 'http://localhost'), { method, headers, body })
      const response = await kernelOf().webhooks.fetch(request)
      outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text())
    }
    answer().catch((error: unknown) => outgoing.writeHead(500).end(String(error)))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

/** Runs two orders. One is approved by a request to its URL, the other waits until its timeout. */
export const order: Example = {
  async config() {
    let kernel: Kernel | undefined
    const server = await serveWebhooks(0, () => kernel!)
    const config = { webhooks: { baseUrl: `http://127.0.0.1:${server.port}/_queue/` } }
    return { config, ready: (made) => void (kernel = made), dispose: () => server.close() }
  },
  async run(kernel: Kernel, print: Print) {
    onApprovalAsked(({ id, total }, url) => {
      print(`Approve order ${id} over ${total}? ${url}`)
      if (id !== 'A1') return
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"approved":true}' }
      void fetch(url, init).then(({ status }) => print(`Somebody opened the URL of ${id}: ${status}`))
    })
    const flow = kernel.flow('order')
    const stamp = Date.now()
    const runs = await Promise.all(
      ['A1', 'B2'].map((id) => flow.start({ id, total: 250 }, { id: `${id}-${stamp}`, tags: [`order:${id}`] })),
    )
    const results = await Promise.all(runs.map(({ runId }) => flow.result(runId)))
    for (const result of results) print(String(result))
    return results
  },
}
