import { expect, it } from 'vitest'
import { isQueueError } from '../../../index.ts'
import { createTestKernel, settled } from '../../../testing/index.ts'

it('cancels a waiting job permanently', async () => {
  let ran = false
  await using test = await createTestKernel({ workers: { any: () => void (ran = true) } })
  const job = await test.kernel.enqueue('any', null, { delay: 1000 })
  expect(await test.kernel.cancel(job, { reason: 'changed my mind' })).toBe(true)
  await test.advance('1m')
  expect(ran).toBe(false)
  await expect(test.kernel.result(job)).rejects.toMatchObject({
    code: 'JOB_CANCELLED',
    message: expect.stringContaining('changed my mind'),
  })
  expect(await test.kernel.port('queue').getJob('default', job.id)).toMatchObject({ state: 'cancelled' })
  expect(await test.kernel.cancel(job)).toBe(false)
})

it('aborts a running job, whose result no longer counts', async () => {
  const seen = Promise.withResolvers<unknown>()
  await using test = await createTestKernel({
    workers: {
      runs: (_job, { signal }) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => (seen.resolve(signal.reason), resolve('too late'))),
        ),
    },
  })
  const job = await test.kernel.enqueue('runs')
  await settled()
  expect(await test.kernel.cancel(job)).toBe(true)
  expect(isQueueError(await seen.promise, 'JOB_CANCELLED')).toBe(true)
  await test.drain()
  expect((await test.events(job.runId)).map(({ type }) => type)).toEqual(['step.started', 'step.cancelled'])
  expect(await test.kernel.port('queue').getJob('default', job.id)).toMatchObject({ state: 'cancelled' })
})

it('retries a failed job with all its attempts, in the same run', async () => {
  let broken = true
  await using test = await createTestKernel({
    workers: {
      flaky: (job) => {
        if (broken) throw new Error('broken')
        return job.attempt
      },
    },
  })
  const job = await test.kernel.enqueue('flaky', null, { attempts: 2 })
  await expect(test.kernel.result(job)).rejects.toThrow('broken')
  broken = false
  await test.kernel.retry(job)
  expect(await test.kernel.result(job)).toBe(1)
  expect((await test.events(job.runId)).map(({ type }) => type)).toEqual([
    'step.started',
    'step.retry',
    'step.started',
    'step.failed',
    'step.started',
    'step.completed',
  ])
  expect(await test.kernel.port('events').runs.get(job.runId)).toMatchObject({ status: 'completed' })
  await expect(test.kernel.retry(job)).rejects.toMatchObject({ code: 'JOB_STATE' })
  await expect(test.kernel.retry({ queue: 'default', id: 'nobody' })).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
})

it('gives up waiting for a result after its timeout', async () => {
  await using test = await createTestKernel({ workers: { slow: () => new Promise(() => {}) } })
  const job = await test.kernel.enqueue('slow')
  const waiting = test.kernel.result(job, { timeout: 500 })
  const outcome = expect(waiting).rejects.toMatchObject({ code: 'RESULT_TIMEOUT' })
  await test.advance(500)
  await outcome
})

it('fails a job that waits for a cancelled job, instead of cancelling it', async () => {
  await using test = await createTestKernel()
  await test.kernel.registerWorker({ id: 'child', handler: () => null })
  await test.kernel.registerWorker({ id: 'parent', handler: (job, { kernel }) => kernel.result(job.data as never) })
  const child = await test.kernel.enqueue('child', null, { delay: 1000 })
  const parent = await test.kernel.enqueue('parent', child)
  await settled()
  await test.kernel.cancel(child)
  await test.drain()
  expect((await test.events(parent.runId)).map(({ type }) => type)).toEqual(['step.started', 'step.failed'])
  expect(await test.kernel.port('queue').getJob('default', parent.id)).toMatchObject({ state: 'failed' })
})

it('runs the jobs of a resumed key although the process that resumed it died before it made them due', async () => {
  const ran: unknown[] = []
  const worker = {
    config: { fairKey: (data: unknown) => String(data) },
    handler: (job: { data: unknown }) => void ran.push(job.data),
  }
  await using test = await createTestKernel({ workers: { sync: worker } })
  const queue = test.kernel.queue('default')
  await queue.pause({ key: 'acme' })
  const job = await test.kernel.enqueue('sync', 'acme')
  await test.advance('2h')
  expect(ran).toEqual([])
  expect((await test.events(job.runId)).length).toBeLessThan(60)
  await test.kernel
    .port('events')
    .append('_pauses', [{ type: '_pause.removed', data: { name: JSON.stringify(['default', 'acme']) } }])
  await test.advance('10m')
  expect(ran).toEqual(['acme'])
  expect(await queue.pausedKeys()).toEqual([])
})

it('refuses more paused keys than every process can know, and invalid options', async () => {
  await using test = await createTestKernel()
  const queue = test.kernel.queue('default')
  for (let n = 0; n < 1000; n++) await queue.pause({ key: `tenant ${n}` })
  await expect(queue.pause({ key: 'one more' })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  await queue.resume({ key: 'tenant 7' })
  await queue.pause({ key: 'one more' })
  expect((await queue.pausedKeys()).slice(-2).map(({ key }) => key)).toEqual(['tenant 999', 'one more'])
  for (const options of [{ key: '' }, { key: 7 }, { keys: 'a' }]) {
    await expect(queue.pause(options as never)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  }
})

it('fails a job of a paused key when it expires', async () => {
  await using test = await createTestKernel({
    workers: { sync: { config: { fairKey: 'acme' }, handler: () => 'ran' } },
  })
  await test.kernel.queue('default').pause({ key: 'acme' })
  const job = await test.kernel.enqueue('sync', null, { expiresIn: 60_000 })
  await test.advance('61s')
  await expect(test.kernel.result(job)).rejects.toMatchObject({ code: 'JOB_EXPIRED' })
})
