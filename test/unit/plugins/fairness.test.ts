import { beforeEach, expect, it, onTestFinished } from 'vitest'
import { createTestKernel, type TestKernel } from '../../../testing/index.ts'

interface Data {
  tenant: string
}

let test: TestKernel
const order: string[] = []

beforeEach(async () => {
  test = await createTestKernel()
  onTestFinished(() => test.close())
  order.length = 0
})

const register = (config: object): Promise<unknown> =>
  test.kernel.registerWorker({
    id: 'work',
    config: { concurrency: 1, ...config },
    handler: ({ data }) => void order.push((data as Data).tenant),
  })

const enqueue = (tenant: string, options?: object): Promise<{ id: string }> =>
  test.kernel.enqueue('work', { tenant }, options)

it('lets tenants take turns, with the key and the weights of the worker and of single jobs', async () => {
  await register({ fairKey: ({ tenant }: Data) => tenant, fairness: { weights: { acme: 2 } } })
  await test.kernel.queue('work').pause()
  for (const tenant of ['big', 'big', 'big', 'big', 'bob', 'acme', 'acme']) await enqueue(tenant)
  const own = await enqueue('big', { fairKey: 'other', fairWeight: 3 })
  await test.kernel.queue('work').resume()
  await test.advance(1)
  expect(order.join(' ')).toBe('big bob acme big acme big big big')
  const job = await test.kernel.port('queue').getJob('work', own.id)
  expect(job?.options).toMatchObject({ fairKey: 'other', fairWeight: 3 })
})

it('refuses keys, weights and priorities by which jobs cannot be ordered', async () => {
  const invalid = { code: 'OPTION_INVALID' }
  for (const config of [
    { fairKey: '' },
    { fairKey: 5 },
    { fairness: { weights: { a: 0 } } },
    { fairness: { weigths: {} } },
  ]) {
    await expect(register(config)).rejects.toMatchObject(invalid)
  }
  await register({ fairKey: (data: Data) => data.tenant })
  const jobs: [tenant: string, options: object][] = [
    ['', {}],
    ['\0', {}],
    ['a', { priority: 0.5 }],
    ['a', { priority: 1001 }],
    ['a', { ageing: 1000 }],
    ['a', { fairKey: '' }],
    ['a', { fairWeight: 0 }],
    ['a', { fairWeight: 101 }],
  ]
  for (const [tenant, options] of jobs) await expect(enqueue(tenant, options)).rejects.toMatchObject(invalid)
  await expect(enqueue('a', { priority: -1000 })).resolves.toMatchObject({ deduplicated: false })
})
