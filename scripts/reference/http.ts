/** The page of the HTTP API, made from its OpenAPI document. */
import { createDocument } from '../../plugins/integrations/http/openapi.ts'
import { routes } from '../../plugins/integrations/http/routes/index.ts'
import { code, page, prose, table } from './markdown.ts'

interface Schema {
  type?: string
  description?: string
  enum?: unknown[]
  anyOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
}
interface Operation {
  summary: string
  tags: string[]
  'x-action': string
  parameters?: { name: string; in: string; required: boolean; description?: string; schema: Schema }[]
  requestBody?: { content: { 'application/json': { schema: Schema } } }
}

function typeOf({ type, enum: values, anyOf, items }: Schema): string {
  if (values) return values.map(String).filter(Boolean).join(' | ')
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' | ')
  return type === 'array' ? `${items ? typeOf(items) : 'unknown'}[]` : (type ?? 'any')
}

export function http(): string {
  const { paths } = createDocument(routes, '/_queue/api/') as { paths: Record<string, Record<string, Operation>> }
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ path, method: method.toUpperCase(), ...one })),
  )
  const tags = [...new Set(operations.map(({ tags: [tag] }) => tag!))]
  const sections = tags.flatMap((tag) => [
    `## ${tag}`,
    ...operations
      .filter((one) => one.tags[0] === tag)
      .flatMap(({ method, path, summary, parameters = [], requestBody, 'x-action': action }) => {
        const body = requestBody?.content['application/json'].schema
        const rows = [
          ...parameters
            .filter((one) => one.in === 'query')
            .map((one) => [code(one.name), 'query', code(typeOf(one.schema)), one.required ? 'required' : '']),
          ...Object.entries(body?.properties ?? {}).map(([name, schema]) => [
            code(name),
            'body',
            code(typeOf(schema)),
            body?.required?.includes(name) ? 'required' : '',
          ]),
        ]
        return [
          `### \`${method} ${path.slice(1)}\``,
          `${prose(summary)}. Action: \`${action}\`.`,
          rows.length > 0 ? table(['parameter', 'in', 'type', ''], rows) : undefined,
        ]
      }),
  ])
  return page('HTTP API', [
    'The routes below `/_queue/api/`. The process serves the same list as an OpenAPI 3.1 document at `/_queue/api/openapi.json`, with the schema of every response. [http](../../plugins/integrations/http/README.md) says how to open the API, and [securing](../guides/securing.md) who may do what.',
    '```sh\ncurl localhost:4000/_queue/api/jobs -H \'content-type: application/json\' -d \'{"worker":"hello","data":{"name":"Ada"}}\'\n```',
    'Errors are `application/problem+json` with the [`code`](errors.md) of the error. A request that changes something has the header `content-type: application/json`, also without a body.',
    ...sections,
  ])
}
