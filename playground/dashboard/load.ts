import type { Kernel } from 'nuxt-queue'

const NAMES = ['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald']
const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!
let orders = 0

function startOrder(kernel: Kernel, total: number = Math.round(50 + Math.random() * 1700)) {
  const id = `A${1000 + orders++}`
  const customer = { id: orders % 20, name: any(NAMES) }
  const input = { id, items: 2 + Math.floor(Math.random() * 6), total, customer }
  return kernel.flow('order').start(input, { tags: [`customer:${customer.id}`, total > 900 ? 'large' : 'small'] })
}

/** Fills every screen: ended, failed, waiting, delayed and running work, and a paused queue. */
export async function seed(kernel: Kernel): Promise<void> {
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
  await kernel.emitTrigger('restock', { photo: 'shelf.jpg', sizes: [320, 640] })
  await kernel.flow('signup').start({ name: 'Ada', email: 'ada@example.com' }, { tags: ['newsletter'] })
  await kernel.flow('signup').start({ name: 'Grace', email: 'grace@example.com' })
}

/** Adds work now and then, until the signal. */
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
