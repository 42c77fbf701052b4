import { setTimeout as sleep } from 'node:timers/promises'
import type { Kernel } from 'nuxt-queue'
import { shareOf } from './random.ts'

/** How each run of the flow `outer` ends. */
export const OUTER_RESULT = 'inner 1, inner 2'

/** Ways to harm the process that runs the job. Each must end only its own job. */
const HOSTILE: ((log: (meta: object) => Promise<void>) => unknown)[] = [
  () => {
    throw new Error('x'.repeat(700_000))
  },
  () => {
    throw new Proxy(new Error('hostile'), {
      get() {
        throw new Error('looked at')
      },
    })
  },
  () => ({ result: () => {} }),
  () => 'x'.repeat(2 ** 21),
  async (log) => {
    const ring: Record<string, unknown> = {}
    ring.ring = ring
    await log(ring)
  },
  // The rejection is not awaited.
  () => void Promise.reject(new Error('stray')).catch(() => {}),
]

/** Jobs that harm, keys whose holders die where they may, batches, windows, and flows that wait for others. */
export async function registerHard(kernel: Kernel, mayDie: boolean): Promise<void> {
  await kernel.registerWorker({
    id: 'hostile',
    config: { queue: 'hostile', concurrency: 4, attempts: 2, backoff: 20 },
    handler: ({ data }, { logger }) =>
      HOSTILE[(data as { n: number }).n % HOSTILE.length]!((meta) => logger.warn('hostile', meta)),
  })
  await kernel.registerWorker({
    id: 'holder',
    config: { queue: 'holder', concurrency: 4, concurrencyPerKey: 1 },
    async handler({ id }, { claim }) {
      await sleep(shareOf(id) * 40)
      if (mayDie && claim === 1 && shareOf(`dies ${id}`) < 0.05) process.kill(process.pid, 'SIGKILL')
      return id
    },
  })
  await kernel.registerWorker({
    id: 'batch',
    config: { queue: 'batch', attempts: 5, backoff: 20, batch: { size: 5, wait: 30 } },
    handler: ({ data }, ctx) =>
      data.map((n, index) =>
        shareOf(`${ctx.batch[index]!.id} ${ctx.batch[index]!.attempt}`) < 0.1 ? new Error('fails by plan') : n,
      ),
  })
  await kernel.registerWorker({
    id: 'calm',
    config: { queue: 'calm', concurrency: 4, attempts: 5, backoff: 20, debounce: { delay: 50, maxWait: 500 } },
    handler: ({ data }) => data,
  })
  const config = { queue: 'outer', concurrency: 4, attempts: 10, backoff: 20 }
  await kernel.registerWorker({
    id: 'outer',
    config: { ...config, flow: { name: 'outer', role: 'entry' } },
    async handler(_job, ctx) {
      const first = await ctx.flow.start('inner', 1, { wait: true })
      await ctx.step.sleep('rest', 30)
      return `${String(first)}, ${String(await ctx.flow.start('inner', 2, { wait: true }))}`
    },
  })
  await kernel.registerWorker({
    id: 'inner',
    config: { ...config, flow: { name: 'inner', role: 'entry' } },
    handler: ({ data }) => `inner ${String(data)}`,
  })
}

/** Returns the key of a window. All calls with ids that differ only in the last part share it. */
const windowOf = (id: string): string => id.slice(0, id.lastIndexOf('-'))
const several = (id: string): string[] => [0, 1, 2].map((part) => `${id}-${part}`)

export function produceHard(kernel: Kernel, id: string, n: number): Promise<unknown> {
  switch (n % 5) {
    case 0:
      return kernel.enqueue('hostile', { n: n / 5 }, { id })
    case 1:
      return kernel.enqueue('holder', { n }, { id, concurrencyKey: `key-${n % 3}` })
    case 2:
      return kernel.enqueueMany(several(id).map((one) => ({ worker: 'batch', data: n, options: { id: one } })))
    case 3: {
      const key = windowOf(id)
      return kernel.enqueue('calm', { key, n }, { debounce: { delay: 50, maxWait: 500, key } })
    }
    default:
      return kernel.flow('outer').start({ n }, { id })
  }
}

/** What `produceHard` creates: jobs, a run, or a call of a window, which a newer call may replace. */
export type Made = { queue: string; ids: string[] } | { run: string } | { window: string; n: number }

export function madeHard(id: string, n: number): Made {
  const made: Made[] = [
    { queue: 'hostile', ids: [id] },
    { queue: 'holder', ids: [id] },
    { queue: 'batch', ids: several(id) },
    { window: windowOf(id), n },
    { run: id },
  ]
  return made[n % 5]!
}
