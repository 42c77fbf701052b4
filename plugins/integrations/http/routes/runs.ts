import { z } from 'zod'
import { assertFree, MAX_MOMENT, type Kernel } from '../../../../kernel/index.ts'
import { historyPages } from '../../../observability/lib/history.ts'
import { findRun, flowOfRun } from '../../lib/find-run.ts'
import { waitForEnd } from '../run-end.ts'
import * as answers from './answers.ts'
import { route, type Route } from './route.ts'
import {
  bodyMoment,
  cursor,
  flag,
  fromCursor,
  limit,
  members,
  moment,
  name,
  prose,
  reference,
  tags,
  toCursor,
  whole,
  words,
} from './values.ts'

/** How long a request may wait for a result, in milliseconds. This is shorter than the timeout of most proxies. */
const MAX_WAIT = 30_000
const MAX_EVENTS = 10_000

const place = z.strictObject({ runId: reference, startedAt: z.number().min(0).max(MAX_MOMENT) })

/** The body of a fork and of a rerun. */
const fork = { input: z.unknown().optional(), state: members.optional() }
const named = { id: name.optional(), tags: tags.optional() }

/** Streams pages of text. The first page has already been read. */
function streamOf(first: string, rest: AsyncGenerator<string, void>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    start: (controller) => controller.enqueue(encoder.encode(first)),
    async pull(controller) {
      const { value } = await rest.next()
      if (value === undefined) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
    cancel: () => void rest.return(),
  })
}

type Timeline = Awaited<ReturnType<Kernel['timeline']>>

/** Includes the child runs of jobs only if the request may read them, because they may belong to other tenants. */
async function withoutForeign(timeline: Timeline, mayRead: (runId: string) => Promise<boolean>): Promise<Timeline> {
  for (const child of timeline.jobs.flatMap(({ children }) => children)) {
    if (!child.timeline) continue
    if (await mayRead(child.runId)) await withoutForeign(child.timeline, mayRead)
    else delete child.timeline
  }
  return timeline
}

export const runRoutes: readonly Route[] = [
  route({
    id: 'listRuns',
    method: 'GET',
    path: 'runs',
    action: 'runs.read',
    summary: 'List runs, newest first. A page may have fewer entries than its limit',
    query: z.strictObject({
      status: answers.status.optional(),
      flow: reference.optional(),
      name: reference.optional(),
      queue: reference.optional(),
      tag: reference.optional(),
      /** Whether to include the runs of plugins. */
      internal: flag,
      limit: limit(100, 1000),
      /** The `next` of the previous page. */
      after: cursor.optional(),
    }),
    answer: z.object({
      runs: z.array(answers.run),
      /** The cursor of the next page, if there may be one. */
      next: z.string().optional(),
    }),
    async handle({ kernel, query: { internal, after, ...filter }, mayRead }) {
      const from = after === undefined ? undefined : fromCursor(place, after)
      const page = await kernel.port('events').runs.list({ ...filter, hideInternal: !internal, after: from })
      const runs = []
      for (const run of page) if (await mayRead({ type: 'runs.read', runId: run.runId })) runs.push(run)
      if (page.length < filter.limit) return { runs }
      const { runId, startedAt } = page.at(-1)!
      return { runs, next: toCursor({ runId, startedAt }) }
    },
  }),
  route({
    id: 'getRun',
    method: 'GET',
    path: 'runs/:runId',
    action: 'runs.read',
    summary: 'One run',
    answer: answers.run,
    handle: ({ kernel, params }) => findRun(kernel, params.runId),
  }),
  route({
    id: 'listEvents',
    method: 'GET',
    path: 'runs/:runId/events',
    action: 'runs.read',
    summary: 'List the events of a run',
    query: z.strictObject({
      after: whole().default(0),
      /** The seq of an event, or an ISO date. */
      until: moment.optional(),
      types: words().optional(),
      limit: limit(1000, MAX_EVENTS),
      reverse: flag,
    }),
    answer: z.object({
      events: z.array(answers.event),
      /** The seq of the newest event of the run. */
      head: z.number().int(),
    }),
    async handle({ kernel, params, query }) {
      const { head } = await findRun(kernel, params.runId)
      return { events: await kernel.port('events').read(params.runId, query), head }
    },
  }),
  route({
    id: 'getState',
    method: 'GET',
    path: 'runs/:runId/state',
    action: 'runs.read',
    summary: 'Get the state of a run, now or at an earlier moment',
    query: z.strictObject({
      /** The seq of an event, or an ISO date. Default: now. */
      at: moment.optional(),
    }),
    answer: z.record(z.string(), z.unknown()),
    async handle({ kernel, params, query }) {
      await findRun(kernel, params.runId)
      return kernel.state(params.runId, query)
    },
  }),
  route({
    id: 'getTimeline',
    method: 'GET',
    path: 'runs/:runId/timeline',
    action: 'runs.read',
    summary: 'Get the timeline of a run, with each of its jobs',
    query: z.strictObject({
      /** How many levels of child runs to include. Default 0, because child runs may belong to other tenants. */
      depth: whole(5).default(0),
    }),
    answer: answers.timeline,
    handle: async ({ kernel, params, query, mayRead }) =>
      withoutForeign(await kernel.timeline(params.runId, query), (runId) => mayRead({ type: 'runs.read', runId })),
  }),
  route({
    id: 'explainRun',
    method: 'GET',
    path: 'runs/:runId/explain',
    action: 'runs.read',
    summary: 'Explain what the run of a flow waits for',
    answer: answers.runExplanation,
    handle: async ({ kernel, params: { runId } }) => kernel.flow(await flowOfRun(kernel, runId)).explain(runId),
  }),
  route({
    id: 'getResult',
    method: 'GET',
    path: 'runs/:runId/result',
    action: 'runs.read',
    summary: 'Get the result of a run. The status is 202 while it runs',
    query: z.strictObject({
      /** Milliseconds to wait for the result, at most 30,000. Default 0. */
      wait: whole().default(0),
    }),
    answer: answers.result,
    async handle({ kernel, params: { runId }, query, request }) {
      const wait = Math.min(query.wait, MAX_WAIT)
      const outcome = await waitForEnd(kernel, runId, wait, request.signal)
      if (!outcome) await findRun(kernel, runId)
      return outcome ?? new Response('{"status":"running"}', { status: 202 })
    },
  }),
  route({
    id: 'exportRun',
    method: 'GET',
    path: 'runs/:runId/export',
    action: 'runs.read',
    summary: 'Download the history of a run as a file for the command line',
    answer: z.string(),
    media: 'application/jsonl',
    async handle({ kernel, params: { runId } }) {
      const pages = historyPages(kernel.port('events'), await findRun(kernel, runId))
      // An error in the first page can still become an error response.
      const first = await pages.next()
      const file = `${encodeURIComponent(runId).replaceAll("'", '%27')}.jsonl`
      const headers = { 'content-disposition': `attachment; filename*=UTF-8''${file}` }
      return new Response(streamOf(first.value ?? '', pages), { headers })
    },
  }),
  route({
    id: 'cancelRun',
    method: 'POST',
    path: 'runs/:runId/cancel',
    action: 'runs.cancel',
    idempotent: true,
    summary: 'Cancel a run',
    body: z.strictObject({ reason: prose.optional() }),
    answer: answers.changed,
    async handle({ kernel, params: { runId }, body }) {
      const { flow, queue, jobId } = await findRun(kernel, runId)
      if (flow !== undefined) return { changed: await kernel.flow(flow).cancel(runId, body) }
      if (queue === undefined || jobId === undefined) return { changed: false }
      assertFree('queue', queue)
      return { changed: await kernel.cancel({ queue, id: jobId }, body) }
    },
  }),
  route({
    id: 'forkRun',
    method: 'POST',
    path: 'runs/:runId/fork',
    action: 'runs.fork',
    destructive: false,
    summary: 'Start a new run with the history of this run up to a moment',
    body: z.strictObject({ at: bodyMoment.optional(), ...fork, ...named }),
    answer: answers.forked,
    status: 202,
    handle: async ({ kernel, params: { runId }, body }) =>
      kernel.flow(await flowOfRun(kernel, runId)).fork(runId, body),
  }),
  route({
    id: 'rerunFrom',
    method: 'POST',
    path: 'runs/:runId/rerun',
    action: 'runs.fork',
    destructive: false,
    summary: 'Start a new run with the history of this run up to a step, and run that step again',
    body: z.strictObject({ step: name, ...fork, ...named }),
    answer: answers.forked,
    status: 202,
    handle: async ({ kernel, params: { runId }, body: { step, ...body } }) =>
      kernel.flow(await flowOfRun(kernel, runId)).rerunFrom(runId, step, body),
  }),
]
