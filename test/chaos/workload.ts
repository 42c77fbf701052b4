import { setTimeout as sleep } from 'node:timers/promises'
import type { EnqueueItem, Kernel } from 'nuxt-queue'
import { madeHard, OUTER_RESULT, produceHard, registerHard, type Made } from './hard.ts'
import { ORDER_RESULT, ORDER_STATE, registerOrders } from './orders.ts'
import { shareOf } from './random.ts'
import { registerRetained } from './retained.ts'

export interface Duties {
  workload: Workload
  /** Whether a handler may kill its process. */
  mayDie: boolean
  /** The file in which handlers of the workload `retention` record their actions. */
  journal: string
}

/** Jobs that work a little, write state, fail now and then, wait, and belong together. */
export async function registerWorkers(kernel: Kernel, { workload, mayDie, journal }: Duties): Promise<void> {
  if (workload === 'retention') return registerRetained(kernel, journal)
  await registerOrders(kernel)
  await registerHard(kernel, mayDie)
  await kernel.registerWorker({
    id: 'plain',
    config: { queue: 'plain', concurrency: 8, attempts: 3, backoff: 50 },
    async handler({ id, attempt }, { state }) {
      await state.update('runs', (runs) => Number(runs ?? 0) + 1)
      await sleep(shareOf(id) * 30)
      if (shareOf(`${id} ${attempt}`) < 0.3) throw new Error(`attempt ${attempt} of ${id} fails by plan`)
      return id
    },
  })
  await kernel.registerWorker({
    id: 'keyed',
    config: { queue: 'keyed', concurrency: 4, concurrencyPerKey: 1 },
    async handler({ id }, ctx) {
      await ctx.state.set('claim', ctx.claim)
      await sleep(shareOf(id) * 20)
      return id
    },
  })
  // One at a time: the end of a job and its settlement may be stored in one round trip.
  await kernel.registerWorker({
    id: 'serial',
    config: { queue: 'serial', attempts: 10, backoff: 20 },
    async handler({ id, attempt }, { state }) {
      await state.update('runs', (runs) => Number(runs ?? 0) + 1)
      if (shareOf(`${id} ${attempt}`) < 0.1) throw new Error('fails by plan')
      return id
    },
  })
  await kernel.registerWorker({
    id: 'fan/entry',
    config: { queue: 'fan', concurrency: 4, flow: { name: 'fan', role: 'entry', emits: ['part'] } },
    async handler(_job, ctx) {
      for (let n = 0; n < PARTS; n++) await ctx.flow.emit('part', n)
    },
  })
  await kernel.registerWorker({
    id: 'fan/part',
    config: {
      ...{ queue: 'fan', concurrency: 4, attempts: 10, backoff: 20 },
      flow: { name: 'fan', role: 'step', subscribes: 'part', emits: ['square'] },
    },
    async handler({ id, data, attempt }, ctx) {
      await ctx.state.update('parts', (parts) => Number(parts ?? 0) + 1)
      if (shareOf(`${id} ${attempt}`) < 0.2) throw new Error('fails by plan')
      await ctx.flow.emit('square', Number(data) ** 2)
    },
  })
  await kernel.registerWorker({
    id: 'fan/sum',
    config: { queue: 'fan', concurrency: 4, flow: { name: 'fan', role: 'step', subscribes: 'square', gather: 'part' } },
    handler: ({ data }) => (data as { square: number[] }).square.reduce((sum, n) => sum + n, 0),
  })
}

const PARTS = 4
/** What each run of a flow results in. */
export const FLOW_RESULTS: Readonly<Record<string, (result: unknown) => boolean>> = {
  fan: (result) => result === 14,
  order: (result) => result === ORDER_RESULT,
  label: (result) => result === 'label',
  outer: (result) => result === OUTER_RESULT,
  inner: (result) => result === 'inner 1' || result === 'inner 2',
}
/** The state of the run at its end, as far as it does not depend on the number of attempts. */
export const FLOW_STATES: Readonly<Record<string, unknown>> = { order: ORDER_STATE }

/** What producers create: a mix of everything, only runs of the flow that waits, harmful jobs, or jobs that are removed early. */
export const WORKLOADS = ['mixed', 'orders', 'hard', 'retention'] as const
export type Workload = (typeof WORKLOADS)[number]

/** The nth thing a producer does: one job, several at once, or the start of a flow. */
export function produce(kernel: Kernel, id: string, n: number, workload: Workload): Promise<unknown> {
  if (workload === 'orders') return kernel.flow('order').start({ n }, { id })
  if (workload === 'hard') return produceHard(kernel, id, n)
  if (workload === 'retention') return kernel.flow('parent').start({ n }, { id })
  const options = { id, priority: n % 3, delay: n % 5 === 0 ? n % 400 : 0 }
  switch (n % 8) {
    case 0:
      return kernel.flow('fan').start({ n }, { id })
    case 4:
      return kernel.flow('order').start({ n }, { id })
    case 1:
      return kernel.enqueue('keyed', { n }, { ...options, concurrencyKey: `key-${n % 3}` })
    case 2:
      return kernel.enqueueMany(
        several(id).map((one): EnqueueItem => ({ worker: 'plain', data: n, options: { id: one } })),
      )
    case 3:
      return kernel.enqueue('serial', { n }, options)
    default:
      return kernel.enqueue('plain', { n }, options)
  }
}

/** The jobs that `produce` creates for an id, or the run that it starts. */
export function madeBy(id: string, n: number, workload: Workload): Made {
  if (workload === 'hard') return madeHard(id, n)
  if (workload === 'orders' || n % 4 === 0) return { run: id }
  if (n % 8 === 2) return { queue: 'plain', ids: several(id) }
  return { queue: ALONE[n % 8] ?? 'plain', ids: [id] }
}

/** The queues of jobs that do not go to `plain`, by the remainder of their number. */
const ALONE: Readonly<Record<number, string>> = { 1: 'keyed', 3: 'serial' }

function several(id: string): string[] {
  return [0, 1, 2].map((part) => `${id}-${part}`)
}
