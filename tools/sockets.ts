import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { createKernel } from 'nuxt-queue'

/*
 * Starts a server and opens 10,000 sockets to it: streams that read, streams that never read, and requests that never end. Prints how
 * long the event loop of the server was blocked, and how long a health check takes meanwhile.
 */

const SOCKETS = Number(process.argv[2] ?? 10_000)
const KINDS = [
  'GET /_queue/api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET /_queue/api/runs/none/stream HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'POST /_queue/api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  'GET /_queue/api/queues HTTP/1.1\r\nHost: loc',
]

if (process.argv[2] === 'serve') await serve()
else await flood()

async function serve(): Promise<void> {
  const kernel = await createKernel({ preset: 'dev', config: { registry: { dirs: [] } } })
  await kernel.registerWorker({ id: 'echo', handler: ({ data }) => data })
  await kernel.start()
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const { port } = await kernel.http.listen()
  console.log(port)
  for await (const _ of createInterface({ input: process.stdin })) {
    const [p50, p99, max] = [delay.percentile(50), delay.percentile(99), delay.max].map((ns) => Math.round(ns / 1e6))
    const { rss } = process.memoryUsage()
    console.log(
      JSON.stringify({ streams: kernel.http.connections, loop: { p50, p99, max }, rssMb: Math.round(rss / 2 ** 20) }),
    )
    delay.reset()
  }
  await kernel.close()
}

async function flood(): Promise<void> {
  const server = spawn(process.execPath, [import.meta.filename, 'serve'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
  const port = Number((await lines.next()).value)
  const sockets = new Set<Socket>()
  for (let opened = 0; opened < SOCKETS; opened += 100) {
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {}).on('close', () => sockets.delete(socket))
        if (index % 2 === 0) socket.resume()
        sockets.add(socket)
        await once(socket, 'connect')
        socket.write(KINDS[index % KINDS.length]!)
      }),
    )
  }
  await report('all sockets are open')
  for (let job = 0; job < 20; job++) await enqueue(port)
  await report('after twenty jobs, whose events all streams receive')
  await sleep(20_000)
  await report('after 20 s, when requests without headers have timed out')
  for (const socket of sockets) socket.destroy()
  await sleep(1000)
  await report('all sockets are closed')
  server.stdin.end()

  async function report(what: string): Promise<void> {
    const began = performance.now()
    await fetch(`http://127.0.0.1:${port}/_queue/api/health`)
    const health = Math.round(performance.now() - began)
    server.stdin.write('\n')
    console.log(`${what}: ${sockets.size} sockets, health check in ${health} ms`, (await lines.next()).value)
  }
}

async function enqueue(port: number): Promise<void> {
  const body = JSON.stringify({ worker: 'echo', data: 'x'.repeat(1000) })
  await fetch(`http://127.0.0.1:${port}/_queue/api/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
}
