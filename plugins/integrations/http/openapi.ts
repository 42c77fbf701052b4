import { z } from 'zod'
import { packageVersion } from '../../lib/package-version.ts'
import { PROBLEM_TYPE } from './problems.ts'
import { named } from './routes/answers.ts'
import type { Route } from './routes/route.ts'

const REFERENCE = '#/components/schemas/'
/** The descriptions of the parameters of paths. */
const SUBJECTS: Readonly<Record<string, string>> = {
  queue: 'The name of a queue',
  job: 'The id of a job',
  runId: 'The id of a run',
  flow: 'The name of a flow',
  trigger: 'The name of a trigger',
  schedule: 'The name of a schedule',
  worker: 'The id of a worker',
  bulk: 'The id of a bulk action',
  fingerprint: 'The fingerprint of an error group',
  token: 'The token at the end of the URL of a wait',
}
type JsonSchema = Record<string, unknown>

/**
 * Returns the OpenAPI 3.1 document of a table of routes.
 *
 * @param base the path of all routes, which ends with a slash
 */
export function createDocument(routes: readonly Route[], base: string): object {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = `/${route.path.replaceAll(/:(\w+)/g, '{$1}')}`
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'nuxt-queue', version: packageVersion(), description: 'Queues, jobs, runs and flows.' },
    servers: [{ url: base.replace(/\/$/, '') }],
    paths,
    components: { schemas: answersOf(routes) },
  }
}

function operationOf(route: Route): object {
  const { id, summary, action, path, query, body, method, status = 200, media, answer } = route
  const content = { [media ?? 'application/json']: { schema: { $ref: REFERENCE + nameOf(id, answer) } } }
  const problem = { $ref: `${REFERENCE}Problem` }
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      description: SUBJECTS[name!],
      schema: { type: 'string' },
    })),
    ...(query ? queryParameters(query) : []),
  ]
  // The content type must be declared even for an empty body, so that other sites cannot send the request.
  const empty = { type: 'object', additionalProperties: false }
  const carried = { content: { 'application/json': { schema: body ? inputOf(body) : empty } } }
  return {
    operationId: id,
    summary,
    tags: [action.split('.')[0]],
    'x-action': action,
    ...(!action.endsWith('.read') && {
      'x-destructive': route.destructive ?? true,
      'x-idempotent': route.idempotent ?? method === 'DELETE',
    }),
    ...(parameters.length > 0 && { parameters }),
    ...(method === 'POST' && { requestBody: { required: true, ...carried } }),
    responses: {
      [status]: { description: summary, content },
      default: { description: 'What went wrong', content: { [PROBLEM_TYPE]: { schema: problem } } },
    },
  }
}

interface ObjectSchema {
  properties?: JsonSchema
  required?: string[]
  additionalProperties?: unknown
}

function queryParameters(query: z.ZodObject): object[] {
  const { properties = {}, required = [], additionalProperties: others } = inputOf(query) as ObjectSchema
  const named = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }))
  if (typeof others !== 'object') return named
  // Each member is a separate parameter.
  const free = { style: 'form', explode: true, schema: { type: 'object', additionalProperties: others } }
  return [
    ...named,
    { name: 'others', in: 'query', required: false, description: 'Further parameters by name', ...free },
  ]
}

/** Returns the schemas of all responses by name. A schema that several responses share occurs once. */
function answersOf(routes: readonly Route[]): Record<string, unknown> {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(named)) registry.add(schema, { id })
  for (const { id, answer } of routes) {
    if (nameOf(id, answer) === answerOf(id)) registry.add(answer, { id: answerOf(id) })
  }
  const { schemas } = z.toJSONSchema(registry, { io: 'output', unrepresentable: 'any', uri: (id) => REFERENCE + id })
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]))
}

function nameOf(id: string, answer: z.ZodType): string {
  return Object.entries(named).find(([, schema]) => schema === answer)?.[0] ?? answerOf(id)
}

function answerOf(id: string): string {
  return `${id.charAt(0).toUpperCase()}${id.slice(1)}Answer`
}

function inputOf(schema: z.ZodType): JsonSchema {
  return bare(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))
}

/** Removes members that the document states once for all schemas. */
function bare({ $schema: _dialect, $id: _id, ...schema }: object & { $schema?: unknown; $id?: unknown }): JsonSchema {
  return schema
}
