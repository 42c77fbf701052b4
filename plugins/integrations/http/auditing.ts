import { isQueueError, type PluginKernel } from '../../../kernel/index.ts'
import type { Guard } from './guard.ts'
import { problemOf } from './problems.ts'
import type { Route, Subject } from './routes/route.ts'

/** The maximum length of a part of a subject, in characters. It may come from a body that was not accepted. */
const MAX_PART = 512
const SILENT_REPORTER = { warn: () => {}, error: () => {} }

/** Records the action of a request and its outcome. */
export type RecordAction = (
  request: Request,
  route: Route,
  subject: Subject,
  ended: { allowed: boolean; response?: Response; error?: unknown },
) => Promise<void>

/** Records actions that make changes. A refused action is recorded only if its sender is known. */
export function createAuditing(kernel: PluginKernel, guard: Guard): RecordAction {
  return async (request, route, subject, { allowed, response, error }) => {
    const actor = guard.actorOf(request)
    if (route.action.endsWith('.read') || (!allowed && actor === undefined)) return
    const given = error instanceof Response ? error : response
    const status = given?.status ?? problemOf(error, SILENT_REPORTER).status
    const outcome = given ? (given.ok ? 'done' : 'REFUSED') : isQueueError(error) ? error.code : 'INTERNAL'
    const parts = Object.entries(subject).filter(([name, part]) => name !== 'token' && part !== undefined)
    await kernel.recordAction({
      ...(actor !== undefined && { actor }),
      action: route.action,
      route: route.id,
      subject: Object.fromEntries(parts.map(([name, part]) => [name, part.slice(0, MAX_PART)])),
      outcome,
      status,
    })
  }
}
