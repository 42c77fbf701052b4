import { expect, it } from 'vitest'
import { z } from 'zod'
import type { QueryContext, UpdateCheck, UpdateContext } from '../../../plugins/flow/run-messages/index.ts'
import { serve, type Answer, type Rig } from './rig.ts'

interface Operation {
  operationId: string
  'x-action': string
  parameters?: { name: string; in: string }[]
  responses: Record<string, { content: Record<string, { schema: { $ref: string } }> }>
}
interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown> }
}

const ON_THE_WEB = { webhooks: { baseUrl: 'http://localhost/_queue/' } }

/** The content of the store when every route is called. */
async function fill({ kernel, drain }: Rig) {
  const greeted = await kernel.enqueue('ml/train', { n: 1 })
  const failed = await kernel.enqueue('fails')
  const later = await kernel.enqueue('ml/train', { n: 2 }, { delay: 60_000 })
  const gone = await kernel.enqueue('ml/train', { n: 3 }, { delay: 60_000 })
  const dropped = await kernel.enqueue('ml/train', { n: 4 }, { delay: 60_000 })
  const letter = await kernel.enqueue('mourned')
  const order = await kernel.flow('order').start({ id: 7 }, { tags: ['customer:7'] })
  const open = await kernel.flow('approval').start({ id: 7 })
  const held = await kernel.enqueue('held')
  await drain()
  return { greeted, failed, later, gone, dropped, letter, order, open, held }
}

const workers = (onAwaitRegister: (registration: { url?: string }) => void) =>
  ({
    'ml/train': ({ data }: { data: unknown }) => data,
    fails: () => {
      throw new Error('no luck')
    },
    mourned: {
      config: { deadLetter: 'dead' },
      handler: () => {
        throw new Error('no luck')
      },
    },
    place: { config: { flow: { name: 'order', role: 'entry' } }, handler: () => 'placed' },
    ask: {
      config: {
        flow: { name: 'approval', role: 'entry' },
        awaitBefore: { type: 'webhook' },
        onAwaitRegister,
        queries: { due: ({ state }: QueryContext) => state.due },
        updates: {
          due: {
            input: z.string(),
            validate: ({ input }: UpdateCheck) => (input === 'never' ? 'It has to be due.' : true),
            handler: ({ input, set }: UpdateContext) => set({ due: input }),
          },
        },
      },
      handler: () => 'asked',
    },
    held: { config: { awaitBefore: { type: 'event', event: 'paid' } }, handler: () => 'paid' },
    rung: { config: { trigger: { type: 'manual', name: 'bell' } }, handler: () => 'rung' },
  }) as never

it('responses of every route match the served document', async () => {
  const asking = Promise.withResolvers<string>()
  const heard = ({ url }: { url?: string }): void => asking.resolve(url!.split('/').at(-1)!)
  await using rig = await serve({}, { workers: workers(heard), config: ON_THE_WEB })
  const { ask, post } = rig
  const made = await fill(rig)
  const document = (await ask('openapi.json')).body as Document
  const { fingerprint } = (await rig.kernel.errors())[0]!
  const job = (of: { queue: string; id: string }): string => `jobs/${of.queue}/${encodeURIComponent(of.id)}`
  const run = (of: { runId: string }): string => `runs/${encodeURIComponent(of.runId)}`
  const asked: Record<string, () => Promise<Answer>> = {
    listQueues: () => ask('queues?internal=true'),
    getQueue: () => ask('queues/default'),
    pauseQueue: () => post('queues/default/pause', { key: 'acme' }),
    resumeQueue: () => post('queues/default/resume', { key: 'acme' }),
    limitQueue: () => post('queues/default/limits', { concurrency: 50, rate: { limit: 1000, period: 60_000 } }),
    redriveQueue: () => post('queues/dead/redrive', { limit: 1 }),
    listJobs: () => ask('jobs?state=completed,failed&tag=customer:7&limit=2&createdAfter=2020-01-01'),
    countJobs: () => ask('jobs/count?name=place&data.id=7'),
    enqueueJob: () => post('jobs', { worker: 'ml/train', data: { n: 5 }, options: { priority: 3, delay: 1000 } }),
    getJob: () => ask(job(made.greeted)),
    explainJob: () => ask(`${job(made.later)}/explain`),
    retryJob: () => post(`${job(made.failed)}/retry`, { data: { fixed: true } }),
    duplicateJob: () => post(`${job(made.greeted)}/duplicate`, { data: { n: 6 }, id: 'copy', delay: 1000 }),
    rescheduleJob: () => post(`${job(made.dropped)}/reschedule`, { delay: '2999-01-31T12:00:00Z' }),
    cancelJob: () => post(`${job(made.gone)}/cancel`, { reason: 'not needed' }),
    promoteJob: () => post(`${job(made.later)}/promote`),
    removeJob: () => ask(job(made.dropped), { method: 'DELETE' }),
    startBulk: () =>
      post('bulk', { action: 'promote', filter: { queue: 'default', createdAfter: '2020-01-01' }, id: 'b' }),
    getBulk: () => ask('bulk/b'),
    listBulk: () => ask('bulk?limit=5'),
    abortBulk: () => post('bulk/b/abort'),
    listRuns: () => ask('runs?tag=customer:7&limit=1'),
    getRun: () => ask(run(made.greeted)),
    listEvents: () => ask(`${run(made.order)}/events?types=flow.started,flow.completed&reverse=true`),
    getState: () => ask(`${run(made.greeted)}/state?at=1`),
    getTimeline: () => ask(`${run(made.order)}/timeline`),
    explainRun: () => ask(`${run(made.open)}/explain`),
    getResult: () => ask(`${run(made.greeted)}/result`),
    exportRun: () => ask(`${run(made.greeted)}/export`),
    streamRun: () => ask(`${run(made.greeted)}/stream`),
    streamAll: () => ask('stream', { method: 'HEAD' }),
    forkRun: () => post(`${run(made.order)}/fork`, { at: 1, tags: ['forked'] }),
    rerunFrom: () => post(`${run(made.order)}/rerun`, { step: 'place', input: { id: 8 } }),
    listFlows: () => ask('flows'),
    getFlow: () => ask('flows/order'),
    startFlow: () => post('flows/order', { input: { id: 9 }, id: 'order-9', tags: ['customer:9'] }),
    sendEvent: () => post('events', { name: 'order.paid', key: '7', payload: { amount: 12 } }),
    listTriggers: () => ask('triggers'),
    fireTrigger: () => post('triggers/bell', { payload: 1, id: 'once' }),
    triggerHistory: () => ask('triggers/bell/history?limit=5'),
    saveTrigger: () => post('triggers/paid/save', { type: 'event', event: 'order.paid', worker: 'ml/train' }),
    pauseTrigger: () => post('triggers/paid/pause'),
    resumeTrigger: () => post('triggers/paid/resume'),
    removeTrigger: () => ask('triggers/paid', { method: 'DELETE' }),
    listWaits: () => ask('waits?limit=5'),
    listRunMessages: () => ask(`${run(made.open)}/messages`),
    queryRun: () => post(`${run(made.open)}/queries/due`, {}),
    updateRun: () => post(`${run(made.open)}/updates/due`, { input: 'today', id: 'once' }),
    signalRun: () => post(`${run(made.open)}/signals/hurry`, { payload: 1, id: 'once' }),
    resolveWait: async () => post(`waits/${await asking.promise}`, { payload: { approved: true } }),
    completeWait: () =>
      post(`waits/${encodeURIComponent(made.held.runId)}/${encodeURIComponent(made.held.id)}/complete`, { payload: 1 }),
    cancelRun: () => post(`${run(made.open)}/cancel`, { reason: 'too late' }),
    saveSchedule: () =>
      post('schedules/nightly', { cron: '0 3 * * *', timeZone: 'Europe/Berlin', worker: 'ml/train', data: 1 }),
    listSchedules: () => ask('schedules'),
    pauseSchedule: () => post('schedules/nightly/pause'),
    resumeSchedule: () => post('schedules/nightly/resume'),
    runSchedule: () => post('schedules/nightly/run'),
    backfillSchedule: () => post('schedules/nightly/backfill', { from: '2026-11-01', limit: 2 }),
    removeSchedule: () => ask('schedules/nightly', { method: 'DELETE' }),
    listWorkers: () => ask('workers'),
    getWorker: () => ask('workers/fails'),
    listInstances: () => ask('instances'),
    getStats: () => ask('stats?queue=default&from=2026-01-01&step=60000'),
    listErrors: () => ask('errors?status=open&limit=5'),
    getError: () => ask(`errors/${fingerprint}`),
    resolveError: () => post(`errors/${fingerprint}/resolve`),
    ignoreError: () => post(`errors/${fingerprint}/ignore`),
    reopenError: () => post(`errors/${fingerprint}/reopen`),
    listAudit: () => ask('audit?limit=5&action=jobs.retry'),
    getHealth: () => ask('health'),
    getDocument: () => ask('openapi.json'),
  }
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path))
  expect(Object.keys(asked).toSorted()).toEqual(operations.map(({ operationId }) => operationId).toSorted())

  expect(wrongs(document, { $ref: '#/components/schemas/Run' }, { runId: 7 })).toHaveProperty('wrong')

  const order = Object.keys(asked)
  for (const operation of operations.toSorted((a, b) => order.indexOf(a.operationId) - order.indexOf(b.operationId))) {
    const { operationId, responses } = operation
    const { status, headers, body } = await asked[operationId]!()
    const [documented, { content }] = Object.entries(responses)[0]!
    const [type, { schema }] = Object.entries(content)[0]!
    expect({ operationId, status: String(status), type: headers.get('content-type')?.split(';')[0], body }).toEqual({
      ...{ operationId, status: documented, type, body },
    })
    expect({ operationId, body, ...wrongs(document, schema, body) }).toEqual({ operationId, body })
  }
})

it('talks to a run, and refuses what its flow does not accept', async () => {
  await using rig = await serve({}, { workers: workers(() => {}), config: ON_THE_WEB })
  const { open, greeted } = await fill(rig)
  const { post } = rig
  const run = `runs/${encodeURIComponent(open.runId)}`
  expect((await post(`${run}/updates/due`, { input: 'today' })).body).toEqual({})
  expect((await post(`${run}/queries/due`, {})).body).toEqual({ result: 'today' })
  const refusals = [
    [`${run}/queries/do`, {}, 404, 'QUERY_UNKNOWN'],
    [`${run}/updates/do`, {}, 404, 'UPDATE_UNKNOWN'],
    [`${run}/updates/due`, { input: 7 }, 422, 'VALIDATION_FAILED'],
    [`${run}/updates/due`, { input: 'never' }, 409, 'UPDATE_REFUSED'],
    [`${run}/signals/flow.ended`, {}, 403, 'NAME_RESERVED'],
    [`runs/${greeted.runId}/queries/due`, {}, 404, 'FLOW_UNKNOWN'],
    ['runs/missing/updates/due', { input: 'today' }, 404, 'RUN_NOT_FOUND'],
  ] as const
  for (const [path, body, status, code] of refusals) {
    expect(await post(path, body)).toMatchObject({ status, body: { code } })
  }
  await rig.kernel.flow('approval').cancel(open.runId)
  expect(await post(`${run}/signals/hurry`, {})).toMatchObject({ status: 409, body: { code: 'RUN_ENDED' } })
})

function wrongs({ components }: Document, schema: object, body: unknown): object {
  const whole = JSON.stringify({ ...schema, $defs: components.schemas }).replaceAll('#/components/schemas/', '#/$defs/')
  const { success, error } = z
    .fromJSONSchema(JSON.parse(whole) as Parameters<typeof z.fromJSONSchema>[0])
    .safeParse(body)
  return success ? {} : { wrong: z.prettifyError(error) }
}
