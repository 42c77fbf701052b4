import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createKernel, type Kernel } from 'nuxt-queue'
import { dev } from 'nuxt-queue/presets'
import { median, round, type Bench } from './harness.ts'

const CLIENTS = Number(process.env.BENCH_SSE_CLIENTS ?? 1000)
const EVENTS = 20
const SLOW = 50
const SECONDS = 5
const begin = { run: { status: 'running', name: 'watched' } } as const

/** Clients in another process. They read, or stay idle. */
async function startClients(url: string, count: number, ...idle: 'idle'[]): Promise<ChildProcess> {
  const child = fork(new URL('http-clients.ts', import.meta.url), [url, String(count), ...idle])
  await once(child, 'message')
  return child
}

async function open(): Promise<Kernel> {
  return createKernel({ preset: dev, config: { registry: { dirs: [] } } })
}

/** Measures the median of the milliseconds until the last client has an event. */
async function spread(child: ChildProcess, send: (text: string) => unknown): Promise<number> {
  const samples: number[] = []
  for (let event = 0; event < EVENTS; event++) {
    const began = performance.now()
    const heard = once(child, 'message')
    await send(`marked ${event} ${'x'.repeat(200)}`)
    await heard
    samples.push(performance.now() - began)
  }
  return median(samples)
}

/** A minimal server for comparison. */
async function bareServer() {
  const clients = new Set<ServerResponse>()
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(': hello\n\n')
    clients.add(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  let seq = 0
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    send(text: string): void {
      const frame = Buffer.from(`id: ${++seq}\ndata: ${JSON.stringify({ seq, type: 'noted', data: text })}\n\n`)
      for (const client of clients) client.write(frame)
    },
    close(): void {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function fanOut(bench: Bench): Promise<void> {
  const kernel = await open()
  const store = kernel.port('events')
  const append = (data: string) => store.append('watched', [{ type: 'noted', data }], begin)
  await append('first')
  const [server, bare] = [await kernel.http.listen(), await bareServer()]
  const ours = await startClients(`${server.url}/_queue/api/runs/watched/stream`, CLIENTS)
  const theirs = await startClients(bare.url, CLIENTS)
  const about = { case: `sse-${CLIENTS}`, unit: 'ms', against: 'a loop over responses of Node', larger: false, runs: 7 }
  await bench.compare({ ...about, ours: () => spread(ours, append), base: () => spread(theirs, bare.send) })
  ours.disconnect()
  theirs.disconnect()
  bare.close()
  await kernel.close()
}

/** Measures the maximum memory in MiB of an instance in a separate process, with the given number of clients that do not read. */
async function held(slow: number): Promise<number> {
  const child = fork(new URL('http-instance.ts', import.meta.url), [String(SECONDS)], { execArgv: ['--expose-gc'] })
  const [url] = (await once(child, 'message')) as [string]
  const clients = slow > 0 ? await startClients(`${url}/_queue/api/stream`, slow, 'idle') : undefined
  child.send('go')
  const [most] = (await once(child, 'message')) as [number]
  clients?.disconnect()
  child.disconnect()
  return most
}

async function backlog(bench: Bench): Promise<void> {
  const base = await held(0)
  const ours = await held(SLOW)
  const against = 'the same events without clients'
  const about = { case: `slow-${SLOW}`, unit: 'MiB', against, runs: 1 }
  bench.emit({ ...about, ours: round(ours), base: round(base), ratio: round(base / ours) })
}

/** Measures the cost of clients: the delay of the last of many, and the memory of clients that do not read. */
export default async function bench(bench: Bench): Promise<void> {
  await fanOut(bench)
  await backlog(bench)
}
