import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Asked {
  url: URL
  method: string
  headers: IncomingMessage['headers']
  body: string
}
type Answer = (response: ServerResponse, asked: Asked) => void | Promise<void>

/** A real server with a list of responses. The last response is repeated. */
export async function serve(...answers: Answer[]) {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url!, 'http://localhost')
      let body = ''
      for await (const chunk of request) body += String(chunk)
      const one = { url, method: request.method!, headers: request.headers, body }
      asked.push(one)
      await answers[Math.min(asked.length, answers.length) - 1]!(response, one)
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    asked,
    url: `http://127.0.0.1:${port}/runs/r/stream`,
    baseURL: `http://127.0.0.1:${port}/`,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const event = (seq: number, data: unknown = 'é😀', type = 'x'): string =>
  `id: ${seq}\ndata: ${JSON.stringify({ seq, id: `r:${seq}`, ts: 1, runId: 'r', type, data, stepId: 'j', step: 's' })}\n\n`
export const events = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => event(from + index)).join('')
export const ephemeral = (type: string, data: unknown): string =>
  `event: ephemeral\ndata: ${JSON.stringify({ runId: 'r', type, data })}\n\n`
export const END = `event: end\ndata: {"status":"completed"}\n\n`

export function begin(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { 'content-type': 'text/event-stream' })
}

/** Responds with a stream. Without `END` in it, the stream is closed in the middle. */
export const stream =
  (text: string) =>
  (response: ServerResponse): void =>
    void begin(response).end(text)

/** The same bytes, one at a time. */
export const trickle =
  (text: string) =>
  async (response: ServerResponse): Promise<void> => {
    begin(response)
    for (const byte of Buffer.from(text)) {
      response.write(Uint8Array.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  }

/** Writes the given text and drops the connection without an end. */
export const cut =
  (text: string) =>
  (response: ServerResponse): void => {
    begin(response).write(text, () => response.destroy())
  }

export const problem =
  (status: number, code: string, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void =>
    void response
      .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
      .end(JSON.stringify({ type: 'about:blank', title: 'x', status, detail: `It is ${code}.`, code }))
