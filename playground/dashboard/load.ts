import type { Kernel } from 'nuxt-queue'

const NAMES = ['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald']
const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!
let orders = 0
/** The secret with which the sender of payments signs its requests. In a real application, it comes from the environment. */
export const SECRET = 'only-for-the-playground'

function startOrder(kernel: Kernel, total: number = Math.round(50 + Math.random() * 1700)) {
  const id = `A${1000 + orders++}`
  const customer = { id: orders % 20, name: any(NAMES) }
  const input = { id, items: 2 + Math.floor(Math.random() * 6), total, customer }
  return kernel.flow('order').start(input, { tags: [`customer:${customer.id}`, total > 900 ? 'large' : 'small'] })
}

/** Fills the charts with data of the last hour, as if the server had been running for that time. */
async function seedCharts(kernel: Kernel): Promise<void> {
  const BUCKET = 10_000
  const [BUCKETS, PER_MINUTE] = [360, 6]
  const start = Math.floor(Date.now() / BUCKET) * BUCKET
  const records = Array.from({ length: BUCKETS }, (_, index) => {
    const rows = ['mail', 'orders', 'warehouse', 'payments', 'media'].map((queue, at) => {
      const done = Math.round(14 + 8 * Math.sin((index / PER_MINUTE + at * 7) / 6) + Math.random() * 3)
      const failed = (queue === 'mail' || queue === 'payments') && Math.random() < 0.2 ? 1 : 0
      const counts = [done, done + failed, done, failed, failed * 2]
      // The buckets of a histogram, four for each power of two milliseconds, each with its count.
      return {
        queue,
        worker: queue,
        counts,
        wait: [9 + at, done, 16, failed],
        run: [27 + at, done, 40, Math.ceil(done / 12)],
      }
    })
    return { type: 'stats.bucket', data: { id: `seed.${index}`, ts: start - (BUCKETS - index) * BUCKET, rows } }
  })
  await kernel.port('events').append('_stats.10s', records)
}

/** Lets triggers fire, refuse a sender, and refuse an event while they are paused. */
async function seedTriggers(kernel: Kernel): Promise<void> {
  await kernel.emitTrigger('restock', { photo: 'shelf.jpg', sizes: [320, 640] })
  const pay = (secret: string) => {
    const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ to: 'ada@example.com', subject: 'Your payment' })
    const url = kernel.webhooks.url('triggers/payment')
    return kernel.webhooks.fetch(new Request(url, { method: 'POST', headers, body }))
  }
  await pay(SECRET)
  await pay('guessed')
  await kernel.saveTrigger('refund-mail', { type: 'event', event: 'order.refunded', worker: 'mail/send' })
  await kernel.pauseTrigger('refund-mail')
  await kernel.sendEvent('order.refunded', { to: 'grace@example.com', subject: 'Your refund' })
}

/** Fills every screen: ended, failed, waiting, delayed and running work, and a paused queue. */
export async function seed(kernel: Kernel): Promise<void> {
  await seedCharts(kernel)
  const mail = (to: string, options = {}) => kernel.enqueue('mail/send', { to, subject: 'Your order' }, options)
  for (let index = 0; index < 12; index++) await mail(`${any(NAMES).toLowerCase()}@example.com`)
  for (let index = 0; index < 4; index++) await mail(`bounce-${index}@example.com`)
  for (let index = 0; index < 3; index++) await mail(`flaky-${index}@example.com`)
  for (let index = 1; index <= 5; index++) await mail('later@example.com', { delay: index * 600_000 })
  for (const total of [120, 480, 1200, 1600, 1700, 90]) await startOrder(kernel, total)
  for (let index = 0; index < 6; index++)
    await kernel.enqueue('media/resize', { photo: `p-${index}.jpg`, sizes: [320, 640, 1280, 1920] })
  await kernel.queue('exports').pause()
  await kernel.enqueue('exports/csv', { table: 'orders' }, { tags: ['nightly'] })
  await kernel.enqueue('exports/csv', { table: 'customers' }, { priority: 5 })
  const weekly = { cron: '0 8 * * 1', timeZone: 'Europe/Berlin', worker: 'media/resize', overlap: 'skip' as const }
  await kernel.saveSchedule('shelf-photos', { ...weekly, data: { photo: 'shelf.jpg', sizes: [320, 640] } })
  await seedTriggers(kernel)
  await kernel.flow('signup').start({ name: 'Ada', email: 'ada@example.com' }, { tags: ['newsletter'] })
  await kernel.flow('signup').start({ name: 'Grace', email: 'grace@example.com' })
}

/** Adds work from time to time, until the signal aborts. */
export function keepLoading(kernel: Kernel, signal: AbortSignal): void {
  const timer = setInterval(() => {
    void Promise.all([
      kernel.enqueue('mail/send', { to: `${any([...NAMES, 'flaky'])}@example.com`.toLowerCase(), subject: 'News' }),
      Math.random() < 0.25 && startOrder(kernel),
      Math.random() < 0.2 && kernel.enqueue('media/resize', { photo: 'live.jpg', sizes: [320, 640, 1280] }),
      Math.random() < 0.1 && kernel.enqueue('exports/csv', { table: 'orders' }),
      Math.random() < 0.05 && kernel.flow('signup').start({ name: any(NAMES), email: 'news@example.com' }),
      Math.random() < 0.1 && kernel.enqueue('mail/send', { to: 'bounce@example.com', subject: 'News' }),
    ])
  }, 1500)
  signal.addEventListener('abort', () => clearInterval(timer))
}
