import { setTimeout as sleep } from 'node:timers/promises'
import type { Kernel, WorkerConfig, RunContext, Job } from 'nuxt-queue'
import { z } from 'zod'

type Handler = (job: Job, ctx: RunContext) => unknown

const work = (ms: number): Promise<unknown> => sleep(ms)

const address = z.object({
  to: z.email(),
  subject: z.string().default('Hello'),
  retries: z.number().int().min(0).max(5).optional(),
  html: z.boolean().default(false),
})
const order = z.object({
  id: z.string(),
  items: z.number().int().min(1),
  total: z.number(),
  customer: z.object({ id: z.number(), name: z.string() }),
})

const WORKERS: Readonly<Record<string, { config: WorkerConfig; handler: Handler }>> = {
  'mail/send': {
    config: {
      queue: 'mail',
      concurrency: 4,
      input: address,
      attempts: 3,
      backoff: { type: 'exponential', delay: 400 },
    },
    async handler({ data, attempt }, ctx) {
      const { to } = data as { to: string }
      await ctx.logger.info('connecting', { host: 'smtp.example.com' })
      await work(120)
      if (to.startsWith('bounce'))
        throw Object.assign(new Error(`550 Mailbox ${to} is not available`), { code: 'EENVELOPE' })
      if (to.startsWith('flaky') && attempt === 1) throw new Error('Connection to smtp.example.com timed out')
      await ctx.logger.info('sent', { to })
      return { messageId: `<${ctx.job.id}@example.com>`, accepted: [to] }
    },
  },
  'media/resize': {
    config: { queue: 'media', concurrency: 2, attempts: 2 },
    async handler({ data }, ctx) {
      const { sizes } = data as { sizes: number[] }
      for (const [index, size] of sizes.entries()) {
        await work(400)
        await ctx.progress((index + 1) / sizes.length, `${size} px`)
        await ctx.logger.debug('resized', { size })
      }
      return { files: sizes.map((size) => `photo-${size}.webp`) }
    },
  },
  'exports/csv': {
    config: { queue: 'exports', rateLimit: { limit: 6, period: 60_000 } },
    async handler({ data }, ctx) {
      for (let part = 1; part <= 4; part++) {
        await work(600)
        await ctx.progress(part / 4, `${part * 2500} rows`)
      }
      return { file: `${(data as { table: string }).table}.csv`, rows: 10_000 }
    },
  },
  'signup/welcome': {
    config: { queue: 'mail', flow: { name: 'signup', role: 'entry', emits: ['welcomed'] } },
    async handler({ data }, ctx) {
      await ctx.state.set('email', (data as { email: string }).email)
      await ctx.flow.emit('welcomed', data)
    },
  },
  'signup/confirm': {
    config: {
      queue: 'mail',
      flow: { name: 'signup', role: 'step', subscribes: 'welcomed' },
      awaitBefore: { type: 'event', event: 'address.confirmed', timeout: 3 * 86_400_000 },
    },
    async handler(_job, ctx) {
      await ctx.state.set('confirmed', true)
    },
  },
  'reports/nightly': {
    config: { queue: 'reports', schedule: { cron: '0 3 * * *', timeZone: 'Europe/Berlin' } },
    handler: () => ({ rows: 1204 }),
  },
  'reports/pulse': {
    config: { queue: 'reports', schedule: { cron: '*/20 * * * * *' } },
    handler: () => ({ ok: true }),
  },
  'order/place': {
    config: {
      queue: 'orders',
      input: order,
      flow: { name: 'order', role: 'entry', emits: ['placed'] },
      trigger: { type: 'event', event: 'order.created' },
    },
    async handler({ data }, ctx) {
      await ctx.state.set('status', 'placed')
      await ctx.state.set('items', (data as { items: number }).items)
      await ctx.flow.emit('placed', data)
    },
  },
  'order/charge': {
    config: {
      queue: 'payments',
      attempts: 3,
      backoff: 300,
      flow: { name: 'order', role: 'step', subscribes: 'placed', emits: ['charged'] },
    },
    async handler({ data, attempt }, ctx) {
      const { total, id } = data as { total: number; id: string }
      const intent = await ctx.step.run('create intent', () => ({ id: `pi_${id}`, amount: total * 100 }))
      await work(250)
      if (total > 900 && attempt < 3) throw new Error(`Card declined for ${total}`)
      if (total > 1500) throw new Error('Card declined: the limit of 1500 is exceeded')
      await ctx.state.set('charged', { intent: intent.id, total })
      await ctx.flow.emit('charged', data)
      return intent
    },
  },
  'order/approve': {
    config: {
      queue: 'orders',
      flow: { name: 'order', role: 'step', subscribes: 'charged', emits: ['approved'] },
      awaitBefore: { type: 'webhook', timeout: 86_400_000 },
      // An application would send the address to the person who decides.
      onAwaitRegister: () => {},
    },
    async handler({ data }, ctx) {
      await ctx.state.set('status', 'approved')
      await ctx.flow.emit('approved', data)
    },
  },
  'order/pick': {
    config: { queue: 'warehouse', flow: { name: 'order', role: 'step', subscribes: 'placed', emits: ['pick'] } },
    async handler({ data }, ctx) {
      const { items, id } = data as { items: number; id: string }
      for (let index = 1; index <= items; index++) await ctx.flow.emit('pick', { order: id, item: `item-${index}` })
    },
  },
  'order/item': {
    config: {
      queue: 'warehouse',
      concurrency: 5,
      flow: { name: 'order', role: 'step', subscribes: 'pick', emits: ['picked'] },
    },
    async handler({ data }, ctx) {
      await work(150 + Math.random() * 500)
      await ctx.logger.info('picked', data as object)
      await ctx.flow.emit('picked', data)
      return { shelf: 'B12' }
    },
  },
  'order/pack': {
    config: {
      queue: 'warehouse',
      flow: { name: 'order', role: 'step', subscribes: 'picked', gather: 'pick', emits: ['packed'] },
    },
    async handler(_job, ctx) {
      await work(200)
      await ctx.state.set('status', 'packed')
      await ctx.flow.emit('packed', {})
    },
  },
  'order/ship': {
    config: { queue: 'orders', flow: { name: 'order', role: 'step', subscribes: ['approved', 'packed'] } },
    async handler(_job, ctx) {
      await work(200)
      await ctx.state.set('status', 'shipped')
      return { tracking: 'JD0140999' }
    },
  },
}

export async function registerWorkers(kernel: Kernel): Promise<void> {
  for (const [id, { config, handler }] of Object.entries(WORKERS)) await kernel.registerWorker({ id, config, handler })
}
