import { z } from 'zod'
import { isReserved, QueueError, type Kernel, type WorkerDefinition } from '../../../../kernel/index.ts'
import { placesOf } from '../../../flow/lib/flow-places.ts'
import { inputSchemaOf } from '../../../lib/json-schema.ts'
import { checkHealth } from '../../../observability/lib/health.ts'
import { limitsOf } from '../../../lib/worker-limits.ts'
import * as answers from './answers.ts'
import {
  instance as instanceAnswer,
  worker as workerAnswer,
  workerDetails as workerDetailsAnswer,
} from './worker-answers.ts'
import { route, type Route } from './route.ts'
import { flag, jobHeadersOf, name } from './values.ts'

function describe(kernel: Kernel, worker: WorkerDefinition): z.infer<typeof workerAnswer> {
  return {
    id: worker.id,
    queue: worker.queue.name,
    name: worker.name,
    runtime: worker.worker.runtime,
    concurrency: worker.worker.concurrency,
    limits: limitsOf(worker),
    started: kernel.port('workers').getWorker(worker.queue.name, worker.name) !== undefined,
    flows: placesOf(worker).map((place) => ({ flow: place.name, role: place.role, step: place.step ?? worker.id })),
  }
}

export const otherRoutes: readonly Route[] = [
  route({
    id: 'sendEvent',
    method: 'POST',
    path: 'events',
    action: 'events.send',
    summary: 'Send an event to the waits and triggers that listen for it',
    body: z.strictObject({
      name,
      /** The key that waits and triggers match. */
      key: name.optional(),
      payload: z.unknown().optional(),
      /** The id of the event. An event with the same id counts once. */
      id: name.optional(),
    }),
    answer: z.object({ id: z.string(), deduplicated: z.boolean() }),
    status: 202,
    subject: (_kernel, { name: event }) => (typeof event === 'string' ? { event } : {}),
    async handle({ kernel, body: { name: event, payload, id = kernel.newId(), key }, request }) {
      const { deduplicated } = await kernel.sendEvent(event, payload, { id, key, headers: jobHeadersOf(request) })
      return { id, deduplicated }
    },
  }),
  route({
    id: 'listWorkers',
    method: 'GET',
    path: 'workers',
    action: 'workers.read',
    summary: 'List the workers of this process',
    query: z.strictObject({
      /** Whether to include the workers of plugins. */
      internal: flag,
    }),
    answer: z.object({ workers: z.array(workerAnswer) }),
    handle({ kernel, query }) {
      const shown = kernel.registry.workers.filter(({ queue }) => query.internal || !isReserved('queue', queue.name))
      return { workers: shown.map((worker) => describe(kernel, worker)) }
    },
  }),
  route({
    id: 'getWorker',
    method: 'GET',
    path: 'workers/:worker',
    action: 'workers.read',
    summary:
      'Get a worker of this process, with the JSON Schema of its input if the library of the schema can generate it',
    answer: workerDetailsAnswer,
    handle({ kernel, params }) {
      const worker = kernel.registry.get(params.worker)
      if (!worker || isReserved('queue', worker.queue.name)) {
        throw new QueueError(
          'WORKER_UNKNOWN',
          `There is no worker "${params.worker}" here. List them with GET workers.`,
        )
      }
      const { input } = worker.worker
      return { ...describe(kernel, worker), input: input && inputSchemaOf(input) }
    },
  }),
  route({
    id: 'listInstances',
    method: 'GET',
    path: 'instances',
    action: 'instances.read',
    summary: 'List the processes that run jobs of this store',
    answer: z.object({ instances: z.array(instanceAnswer) }),
    handle: async ({ kernel }) => ({ instances: await kernel.instances() }),
  }),
  route({
    id: 'getHealth',
    method: 'GET',
    path: 'health',
    action: 'health.read',
    summary: 'Check the health of this process and its stores. The status is 503 if a store is unavailable',
    query: z.strictObject({
      /** Checks only that the process responds, without checking the stores. */
      live: flag,
    }),
    answer: answers.health,
    async handle({ kernel, query, mayRead }) {
      const health = query.live ? { status: 'ok' as const, checks: {} } : await checkHealth(kernel)
      // Details of the stores are only for callers who may read instances.
      const visible = (await mayRead({ type: 'instances.read' })) ? health : { ...health, checks: {} }
      return new Response(JSON.stringify(visible), { status: health.status === 'ok' ? 200 : 503 })
    },
  }),
  route({
    id: 'getDocument',
    method: 'GET',
    path: 'openapi.json',
    action: 'openapi.read',
    summary: 'This document',
    answer: z.looseObject({ openapi: z.string(), paths: z.record(z.string(), z.unknown()) }),
    handle: ({ document }) => new Response(document()),
  }),
]
