import { inspect } from 'node:util'
import { H3 } from 'h3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { decodeJson, encodeJson } from '../../../plugins/lib/json.ts'
import { createTestKernel, settled, type TestKernel } from '../../../testing/index.ts'

async function rig(): Promise<TestKernel> {
  const test = await createTestKernel({
    workers: {
      double: async (job, ctx) => {
        await ctx.progress(0.5)
        return Number(job.data) * 2
      },
      fails: () => {
        throw new Error('broken')
      },
      queues: (_job, ctx) => ctx.kernel.enqueue('double', 4),
      steps: (_job, ctx) => ctx.step.run('queue', () => ctx.kernel.enqueue('double', 5)),
    },
  })
  onTestFinished(() => test.close())
  return test
}

describe('what enqueue returns', () => {
  it('has the methods of a job', async () => {
    const { kernel, drain } = await rig()
    const job = await kernel.enqueue('double', 21, { delay: 60_000 })
    expect(await job.state()).toBe('delayed')
    expect((await job.explain()).reasons).toMatchObject([{ code: 'delayed' }])
    expect(await job.progress()).toBeUndefined()
    expect(await job.promote()).toBe(true)
    await drain()
    expect(await job.result({ timeout: 1000 })).toBe(42)
    expect([await job.progress(), await job.cancel()]).toEqual([0.5, false])
    expect(await job.record()).toMatchObject({ id: job.id, data: 21, state: 'completed' })
    expect(await job.remove()).toBe(true)
    expect([await job.state(), await job.record(), await job.remove()]).toEqual([undefined, undefined, false])

    const failed = await kernel.enqueue('fails')
    await expect(failed.result()).rejects.toThrow('broken')
    await failed.retry()
    const cancelled = await kernel.enqueue('double', 1, { delay: 1 })
    expect(await cancelled.cancel({ reason: 'not needed' })).toBe(true)
    await expect(cancelled.result()).rejects.toMatchObject({ code: 'JOB_CANCELLED' })
  })

  it('is plain data when it is stored, sent, compared or printed', async () => {
    const { kernel, drain } = await rig()
    const job = await kernel.enqueue('double', 1, { id: 'one' })
    const plain = { id: 'one', runId: job.runId, deduplicated: false, queue: 'default', name: 'double' }
    expect(job).toStrictEqual(plain)
    expect({ ...job }).toStrictEqual(plain)
    expect(JSON.stringify(job)).toBe(JSON.stringify(plain))
    const response = await new H3().get('/', () => job).request('/')
    expect(await response.json()).toEqual(plain)
    expect(structuredClone(job)).toStrictEqual(plain)
    expect(decodeJson(encodeJson({ job }))).toStrictEqual({ job: plain })
    expect(inspect(job)).toBe(inspect(plain))
    const keys: string[] = []
    for (const key in job) keys.push(key)
    expect(keys).toEqual(Object.keys(plain))

    const queues = await kernel.enqueue('queues', job)
    const steps = await kernel.enqueue('steps')
    await drain()
    expect((await queues.record())?.data).toStrictEqual(plain)
    expect(await queues.result()).toMatchObject({ name: 'double', deduplicated: false })
    expect(await steps.result()).toMatchObject({ name: 'double', deduplicated: false })
  })

  it('has these methods even if a hook stored the job', async () => {
    const { kernel } = await rig()
    const jobs = await kernel.enqueueMany([{ worker: 'double', data: 1, options: { id: 'one', delay: 9 } }])
    expect(await jobs[0]!.state()).toBe('delayed')
    kernel.hook('enqueue', (payload) => {
      payload.result = { id: 'one', runId: jobs[0]!.runId, queue: 'default', name: 'double', deduplicated: true }
    })
    expect(await (await kernel.enqueue('double', 2)).state()).toBe('delayed')
  })
})

describe('kernel.job', () => {
  it('returns a handle of a job by its queue and id', async () => {
    const { kernel, drain } = await rig()
    const { queue, id, runId } = await kernel.enqueue('double', 2, { id: 'two' })
    const job = kernel.job<number>({ queue, id })
    expect(job).toStrictEqual({ queue, id })
    await drain()
    const four: number = await job.result()
    expect(four).toBe(4)
    expect(kernel.job({ queue, id, runId })).toStrictEqual({ queue, id, runId })
    await expect(kernel.job({ queue, id: 'three' }).retry()).rejects.toMatchObject({ code: 'JOB_NOT_FOUND' })
    for (const wrong of ['two', null, { queue }, { queue, id: '' }, { queue, id, runId: 5 }]) {
      expect(() => kernel.job(wrong as never)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }))
    }
    for (const wrong of ['two', null, { queue }, { queue, id: '' }] as never[]) {
      const calls = [kernel.result(wrong), kernel.cancel(wrong), kernel.retry(wrong), kernel.duplicate(wrong)]
      const ends = await Promise.allSettled(calls)
      const refused = { status: 'rejected', reason: { code: 'OPTION_INVALID' } }
      expect(ends).toMatchObject(calls.map(() => refused))
    }
  })
})

describe('kernel.queue', () => {
  it('pauses, counts, lists and emits events', async () => {
    const { kernel, drain } = await rig()
    const queue = kernel.queue('default')
    const seen: string[] = []
    const stop = queue.events(({ type, job }) => void seen.push(job ? `${type} ${job.id}` : type))
    await queue.pause()
    const job = await kernel.enqueue('double', 1, { id: 'one' })
    await kernel.enqueue('fails', 1, { id: 'two', delay: 5 })
    await settled()
    expect(await queue.isPaused()).toBe(true)
    expect(await queue.counts()).toMatchObject({ waiting: 1, delayed: 1, active: 0 })
    expect(await queue.jobs({ states: ['delayed'] })).toMatchObject([{ id: 'two' }])
    expect(await kernel.queue('other').jobs()).toEqual([])
    await queue.resume()
    await drain()
    expect(await job.result()).toBe(2)
    expect(seen.filter((line) => !line.endsWith('two'))).toEqual([
      ...['paused', 'waiting one', 'resumed', 'active one', 'progress one', 'completed one'],
    ])
    stop()
    const before = seen.length
    await queue.pause()
    expect(seen).toHaveLength(before)
    expect(() => kernel.queue('')).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }))
  })

  it('removes ended jobs by state, age and number', async () => {
    const { kernel, drain, advance } = await rig()
    const queue = kernel.queue('default')
    const ids = Array.from({ length: 120 }, (_, index) => `job-${index}`)
    await kernel.enqueueMany(ids.map((id) => ({ worker: 'double', data: 1, options: { id } })))
    await drain()
    await advance('1m')
    await kernel.enqueue('fails', 1, { id: 'failed' })
    await kernel.enqueue('double', 1, { id: 'young' })
    await drain()
    await kernel.enqueue('double', 1, { id: 'later', delay: 60_000 })
    expect(await queue.clean({ olderThan: 30_000, limit: 5 })).toEqual(ids.slice(0, 5))
    expect(await queue.clean({ olderThan: 30_000 })).toEqual(ids.slice(5))
    expect(await queue.clean({ states: ['failed'] })).toEqual(['failed'])
    expect(await queue.clean()).toEqual(['young'])
    expect(await queue.jobs()).toMatchObject([{ id: 'later' }])
    for (const wrong of [{ states: ['active'] }, { olderThan: -1 }, { limit: 0 }, { age: 5 }]) {
      await expect(queue.clean(wrong as never)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    }
  })
})
