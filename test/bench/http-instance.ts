/**
 * An instance with 10,000 events a second: `node --expose-gc http-instance.ts <seconds>`. Sends its parent the
 * address on which it listens, waits for a message to begin, and reports by how many MiB its memory has grown.
 */
import { once } from 'node:events'
import { createKernel } from 'nuxt-queue'
import { dev } from 'nuxt-queue/presets'

const TICK = 10
const PER_TICK = 100
const ticks = (Number(process.argv[2]) * 1000) / TICK

const kernel = await createKernel({ preset: dev, config: { registry: { dirs: [] } } })
const store = kernel.port('events')
const begin = { run: { status: 'running', name: 'watched' } } as const
const data = { text: 'x'.repeat(200) }

function memory(): number {
  globalThis.gc!()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

process.send!((await kernel.http.listen()).url)
await once(process, 'message')
const before = memory()
const began = performance.now()
let most = 0
for (let tick = 0; tick < ticks; tick++) {
  for (let index = 0; index < PER_TICK; index++) {
    await store.append(`run-${tick % 10}`, [{ type: 'noted', data }], begin)
  }
  if (tick % 50 === 49) most = Math.max(most, memory() - before)
  const ahead = (tick + 1) * TICK - (performance.now() - began)
  if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead))
}
process.send!(most)
await kernel.close()
