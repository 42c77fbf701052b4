import { createKernel, type Kernel, type RunContext } from 'nuxt-queue'
import { dev } from 'nuxt-queue/presets'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The methods that take an options object, each with an unknown member and with an invalid value. */
const CALLS: Record<string, (kernel: Kernel, odd: never) => unknown> = {
  'queue().jobs': (kernel, odd) => kernel.queue('mail').jobs(odd),
  'queue().clean': (kernel, odd) => kernel.queue('mail').clean(odd),
  'job().retry': (kernel, odd) => kernel.job(JOB).retry(odd),
  'job().result': (kernel, odd) => kernel.job(JOB).result(odd),
  'job().cancel': (kernel, odd) => kernel.job(JOB).cancel(odd),
  'job().reschedule': (kernel, odd) => kernel.job(JOB).reschedule(odd),
  result: (kernel, odd) => kernel.result(JOB, odd),
  cancel: (kernel, odd) => kernel.cancel(JOB, odd),
  waitFor: (kernel, odd) => kernel.waitFor('run', 'end', odd),
  redrive: (kernel, odd) => kernel.redrive('dead', odd),
  findJobs: (kernel, odd) => kernel.findJobs(odd),
  countJobs: (kernel, odd) => kernel.countJobs(odd),
  bulk: (kernel, odd) => kernel.bulk('retry', {}, odd),
  bulkReports: (kernel, odd) => kernel.bulkReports(odd),
  openWaits: (kernel, odd) => kernel.openWaits(odd),
  completeWait: (kernel, odd) => kernel.completeWait({ runId: 'run', jobId: 'job' }, null, undefined, odd),
  resolveWait: (kernel, odd) => kernel.resolveWait('token', null, odd),
  triggerHistory: (kernel, odd) => kernel.triggerHistory('orders', odd),
  backfillSchedule: (kernel, odd) => kernel.backfillSchedule('nightly', odd),
  checkDeploy: (kernel, odd) => kernel.checkDeploy(odd),
  timeline: (kernel, odd) => kernel.timeline('run', odd),
  stats: (kernel, odd) => kernel.stats(odd),
  audit: (kernel, odd) => kernel.audit(odd),
  errors: (kernel, odd) => kernel.errors(odd),
  state: (kernel, odd) => kernel.state('run', odd),
  'flow().runs': (kernel, odd) => kernel.flow('order').runs(odd),
  'flow().cancel': (kernel, odd) => kernel.flow('order').cancel('run', odd),
  'flow().result': (kernel, odd) => kernel.flow('order').result('run', odd),
}

const JOB = { queue: 'mail', id: 'job' }

const INVALID: [method: keyof typeof CALLS, options: object][] = [
  ['queue().jobs', { states: 'failed' }],
  ['queue().jobs', { states: ['faild'] }],
  ['queue().jobs', { limit: -1 }],
  ['queue().jobs', { limit: Number.NaN }],
  ['queue().jobs', { offset: -1 }],
  ['queue().jobs', { runId: 5 }],
  ['result', { timeout: 'x' }],
  ['result', { timeout: Number.NaN }],
  ['waitFor', { timeout: -1 }],
  ['flow().result', { timeout: 'soon' }],
  ['cancel', { reason: 5 }],
  ['flow().cancel', { reason: 5 }],
  ['flow().runs', { status: 'faild' }],
  ['flow().runs', { limit: -1 }],
  ['redrive', { limit: 'all' }],
  ['redrive', { filter: 'all' }],
  ['bulkReports', { limit: 'x' }],
  ['openWaits', { limit: -1 }],
  ['openWaits', { limit: Number.NaN }],
  ['triggerHistory', { limit: -5 }],
  ['checkDeploy', { jobs: 'all' }],
  ['timeline', { depth: 'x' }],
  ['timeline', { depth: Number.NaN }],
  ['stats', { from: 'yesterday' }],
  ['stats', { step: Number.NaN }],
  ['stats', { queue: 5 }],
  ['audit', { limit: -1 }],
  ['audit', { before: 'x' }],
  ['errors', { limit: 'x' }],
  ['errors', { status: 'opened' }],
  ['state', { at: 'x' }],
  ['state', { at: Number.NaN }],
  ['state', { at: new Date('oops') }],
]

describe('options of methods', () => {
  let kernel: Kernel

  beforeAll(async () => {
    kernel = await createKernel({ preset: dev, config: { registry: { dirs: [] } } })
    await kernel.registerWorker({
      id: 'order',
      config: { flow: { name: 'order', role: 'entry', step: 'order' } },
      handler: () => {},
    })
    await kernel.registerTrigger({ name: 'orders', type: 'event', event: 'order.paid', worker: 'order' })
    await kernel.schedule('nightly', { cron: '0 0 * * *', worker: 'order' })
    await kernel.start()
  })
  afterAll(() => kernel.close())

  it.each(Object.keys(CALLS))('%s() refuses an unknown option, and values that are no object', async (method) => {
    const call = async (odd: unknown): Promise<unknown> => CALLS[method]!(kernel, odd as never)
    await expect(call({ limits: 1 })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('"limits"') as string,
    })
    await expect(call(5)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    await expect(call(null)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })

  it.each<[string, (kernel: Kernel, odd: never) => unknown]>([
    ['onEvent', (of, odd) => of.onEvent(odd)],
    ['queue().events', (of, odd) => of.queue('mail').events(odd)],
    ['exportRun', (of, odd) => of.exportRun('run', odd)],
    ['ctx.step.run', (of, odd) => inHandler(of, (ctx) => ctx.step.run('charge', odd))],
  ])('%s() refuses a value of another type as its argument', async (_method, call) => {
    await expect((async () => call(kernel, { odd: true } as never))()).rejects.toMatchObject({ code: 'OPTION_INVALID' })
  })

  it.each(INVALID)('%s() refuses %o', async (method, options) => {
    const [name] = Object.keys(options)
    const call = async (): Promise<unknown> => CALLS[method]!(kernel, options as never)
    await expect(call()).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining(`"${name}"`) as string,
    })
  })
})

/** Runs code in a job. Rejects with the error that it throws. */
async function inHandler(kernel: Kernel, code: (ctx: RunContext) => unknown): Promise<void> {
  await kernel.registerWorker({ id: 'code', config: { attempts: 1 }, handler: (_job, ctx) => code(ctx) })
  try {
    await kernel.result(await kernel.enqueue('code'))
  } finally {
    await kernel.unregisterWorker('code')
  }
}
