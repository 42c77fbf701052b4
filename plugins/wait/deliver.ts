import { isText, QueueError, type PluginKernel, type WorkerDefinition } from '../../kernel/index.ts'
import { fieldOf } from './field.ts'
import { streamOf, WEBHOOK_EVENT } from './record.ts'
import { partsOf } from './request.ts'
import type { WaitStreams } from './streams.ts'

/** Files each event under its key, and under those that waits of workers look for in its payload. */
export function deliverEvents(
  kernel: PluginKernel,
  streams: WaitStreams,
  paths: Readonly<Record<string, string>>,
): void {
  kernel.onEvent(async ({ id, name, key, payload }, { again }) => {
    const fields = new Set(key === '' ? pathsFor(name) : [])
    const found = [...fields].map((path) => fieldOf(payload, path)).filter((value) => isKey(value))
    for (const one of new Set([key, ...found.map(String)])) {
      await streams.file(name, one, { id, payload }, again)
    }
  })

  function pathsFor(event: string): string[] {
    const awaited = kernel.registry.workers.flatMap((worker) => matchesOf(worker, event))
    return Object.hasOwn(paths, event) ? [paths[event]!, ...awaited] : awaited
  }
}

function matchesOf({ worker: { awaitBefore, awaitAfter } }: WorkerDefinition, event: string): string[] {
  return [awaitBefore, awaitAfter]
    .flatMap((options) => (options ? partsOf(options) : []))
    .flatMap((part) =>
      part.type === 'event' && part.event === event && typeof part.match === 'string' ? [part.match] : [],
    )
}

function isKey(value: unknown): boolean {
  return typeof value === 'number' || isText(value)
}

/**
 * Takes what comes to the URL of a wait. The first one counts.
 *
 * @throws QueueError `WAIT_UNKNOWN`, `WAIT_OVER`
 */
export async function resolveWebhook(kernel: PluginKernel, token: string, payload: unknown): Promise<void> {
  if (!isText(token)) throw unknown()
  const stream = streamOf(WEBHOOK_EVENT, token)
  const events = await kernel.port('events').read(stream, { types: ['wait.event', 'wait.closed'] })
  const over = (how: string): QueueError =>
    new QueueError('WAIT_OVER', `This wait is over: ${how}.`, { details: { status: 409 } })
  if (events.some(({ type }) => type === 'wait.event')) throw over('it was answered before')
  if (events.length > 0) throw over('it has timed out or its run has ended')
  if ((await kernel.port('events').head(stream)) === 0) throw unknown()
  const { deduplicated } = await kernel.sendReserved(WEBHOOK_EVENT, payload, { id: token, key: token })
  if (deduplicated) throw over('it was answered before')
}

function unknown(): QueueError {
  const hint = 'The URL may be misspelt, or the wait ended some time ago.'
  return new QueueError('WAIT_UNKNOWN', `Nobody waits here. ${hint}`, { details: { status: 404 } })
}

/**
 * The body of a request as JSON or text; its query when it has none.
 *
 * @throws QueueError `WAIT_INVALID` for a request that only looks, such as that of a link preview, and for a body that is no JSON
 */
export async function payloadOf(request: Request): Promise<unknown> {
  if (request.method === 'HEAD' || request.method === 'OPTIONS') {
    throw new QueueError('WAIT_INVALID', `${request.method} answers no wait; use POST or GET.`, {
      details: { status: 405 },
    })
  }
  const text = await request.text()
  if (text === '') return Object.fromEntries(new URL(request.url).searchParams)
  if (!/\bjson\b/.test(request.headers.get('content-type') ?? '')) return text
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new QueueError('WAIT_INVALID', 'The body is not valid JSON.', { cause, details: { status: 400 } })
  }
}
