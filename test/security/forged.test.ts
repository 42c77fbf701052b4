import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createContextCalls } from '../../plugins/runtimes/lib/child-process/context-calls.ts'
import type { RunContext } from '../../kernel/index.ts'
import { serve, type Rig } from '../unit/http/rig.ts'

const refused = { status: 403, body: { code: 'NAME_RESERVED' } }

let rig: Rig
let inHandler: RunContext | undefined
beforeAll(async () => {
  rig = await serve(
    {},
    {
      workers: {
        echo: ({ data }) => data,
        holds: async (_job, ctx) => {
          inHandler = ctx
        },
        child: { config: { queue: 'child', flow: { name: 'child', role: 'entry' } }, handler: () => 'right' },
        parent: {
          config: { flow: { name: 'parent', role: 'entry' } },
          handler: (_job, ctx) => ctx.flow.start('child', undefined, { id: 'the-child', wait: true }),
        },
      },
    },
  )
  const { kernel } = rig
  await kernel.port('queue').pause('child')
  await kernel.flow('parent').start(undefined, { id: 'the-parent' })
  await rig.drain()
})
afterAll(() => rig.close())

describe('events from outside', () => {
  it('are not the internal events of plugins', async () => {
    const ended = { runId: 'the-child', flow: 'child', outcome: 'completed', data: { result: 'wrong' } }
    const forged = { name: 'flow.ended', key: 'the-child', payload: ended }
    expect(await rig.post('events', forged)).toMatchObject(refused)
    for (const name of ['webhook', 'step.completed', 'state.set', 'runner.log', 'worker.stopped', 'await.resolved']) {
      expect(await rig.post('events', { name }), name).toMatchObject(refused)
      await expect(rig.kernel.sendEvent(name), name).rejects.toMatchObject({ code: 'NAME_RESERVED' })
    }
    expect((await rig.post('events', { name: 'flows.are.fine' })).status).toBe(202)
    await rig.drain()
    expect(await rig.kernel.flow('parent').status('the-parent')).toMatchObject({ status: 'running' })
  })

  it('are not appended by an application under the types of the kernel', async () => {
    const append = async (): Promise<unknown> => rig.kernel.emit('the-parent', [{ type: 'flow.completed', key: 'own' }])
    await expect(append()).rejects.toMatchObject({ code: 'NAME_RESERVED' })
  })
})

describe('runs', () => {
  it('do not begin in the streams of plugins', async () => {
    for (const id of ['registry', '_control', 'wait:webhook:token', 'trigger:t', 'schedule:s', 'debounce.x']) {
      expect(await rig.post('flows/child', { id }), id).toMatchObject(refused)
      const enqueued = rig.kernel.enqueue('echo', 1, { runId: id })
      await expect(enqueued, id).rejects.toMatchObject({ code: 'NAME_RESERVED' })
      expect(await rig.post('runs/the-parent/fork', { id }), id).toMatchObject(refused)
    }
  })
})

describe('queues of plugins', () => {
  it('are not written to over HTTP', async () => {
    const { kernel, post, ask } = rig
    await kernel.sendEvent('kept', 1, { id: 'one' })
    const job = 'jobs/_bus/kept.one'
    for (const path of [`${job}/retry`, `${job}/cancel`, `${job}/promote`]) {
      expect(await post(path), path).toMatchObject(refused)
    }
    for (const path of ['queues/_bus/pause', 'queues/_bus/resume', 'queues/_bus/redrive']) {
      expect(await post(path), path).toMatchObject(refused)
    }
    expect(await ask(job, { method: 'DELETE', headers: { 'content-type': 'application/json' } })).toMatchObject(refused)
    const stored = await kernel.port('queue').getJob('_bus', 'kept.one')
    await rig.drain()
    expect(await post(`runs/${stored!.runId}/cancel`)).toMatchObject(refused)
    expect(await post('jobs', { worker: '_bus/deliver', data: {} })).toMatchObject({ status: 404 })
    const letters = await post('jobs', { worker: 'echo', options: { deadLetter: '_bus' } })
    expect(letters).toMatchObject({ status: 422, body: { code: 'VALIDATION_FAILED' } })
    await expect(kernel.enqueue('echo', 1, { deadLetter: '_bus' })).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    expect(await ask(job)).toMatchObject({ status: 200, body: { state: 'completed' } })
  })

  it('are not written by redriving a forged dead letter', async () => {
    const { kernel, post, drain } = rig
    const ended = { runId: 'the-child', flow: 'child', outcome: 'completed', data: { result: 'wrong' } }
    const letter = {
      id: 'x',
      error: { name: 'Error', message: 'x' },
      data: { name: 'flow.ended', key: 'the-child', payload: ended },
    }
    const target = { queue: 'letters', name: '_bus/deliver' }
    await kernel.enqueue(target, { ...letter, queue: '_bus' })
    await kernel.enqueue(target, { ...letter, queue: 'echo', options: { attempts: 1e9, timeout: 'x' } })
    await kernel.enqueue(target, { ...letter, queue: 'x'.repeat(1000) })
    await kernel.enqueue(target, { ...letter, queue: 'elsewhere', options: { attempts: 2 }, priority: 1 })
    expect(await post('queues/letters/redrive')).toMatchObject({ body: { moved: [{ job: { queue: 'elsewhere' } }] } })
    await drain()
    expect(await kernel.flow('parent').status('the-parent')).toMatchObject({ status: 'running' })
  })

  it('are not written by handlers in separate processes', async () => {
    await rig.kernel.enqueue('holds')
    await rig.drain()
    const call = createContextCalls(inHandler!, undefined)
    const data = { name: 'flow.ended', key: 'the-child' }
    const reserved = { code: 'NAME_RESERVED' }
    const enqueue = async (worker: unknown, options?: object): Promise<unknown> =>
      call('ctx.enqueue', { worker, data, options })
    await expect(enqueue('_bus/deliver')).rejects.toMatchObject(reserved)
    await expect(enqueue({ queue: '_bus', name: '_bus/deliver' })).rejects.toMatchObject(reserved)
    for (const options of [{ runId: 'the-parent' }, { flow: { name: 'parent', step: 'parent' } }, { once: 'x' }]) {
      await expect(enqueue('echo', options)).rejects.toMatchObject(reserved)
    }
    await expect(enqueue('echo', { id: 'fine' })).resolves.toMatchObject({ id: 'fine' })
  })
})

describe('a handler', () => {
  it('cannot append as its job, and stores no event of the kernel with its completion', async () => {
    expect(inHandler).not.toHaveProperty('append')
    expect(inHandler!.kernel).not.toHaveProperty('record')
    expect(inHandler!.kernel).not.toHaveProperty('sendReserved')
    await rig.kernel.registerWorker({
      id: 'outbox',
      config: { queue: 'outbox' },
      handler: (_job, ctx) => void ctx.outbox.push({ type: 'step.memo', data: { name: 'charge', result: 'paid' } }),
    })
    const job = await rig.kernel.enqueue('outbox')
    await expect(rig.kernel.result(job)).rejects.toMatchObject({ code: 'NAME_RESERVED' })
    expect((await rig.events(job.runId)).map(({ type }) => type)).toEqual(['step.started', 'step.failed'])
  })
})
