/** The page of all options of the configuration, made from the schemas of the plugins and their docstrings. */
import { join } from 'pathe'
import { z } from 'zod'
import { pluginFolders } from '../entry-points.ts'
import { code, inCell, page, table, typescript } from './markdown.ts'
import { interfaceOf, optionDoc, ROOT } from './source.ts'

interface Schema {
  type?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  items?: Schema
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  default?: unknown
  $ref?: string
}

interface Plugin {
  name: string
  configKey?: string
  options?: z.ZodType
}

/** Returns the type that a schema describes, as one would write it. */
function typeOf(schema: Schema): string {
  // JSON has no Infinity.
  if (schema.const === null && schema.type === 'number') return 'Infinity'
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ')
  const parts = schema.anyOf ?? schema.oneOf
  if (parts) return [...new Set(parts.map(typeOf))].join(' | ')
  if (schema.type === 'array') return `${schema.items ? wrapped(typeOf(schema.items)) : 'unknown'}[]`
  if (schema.type === 'object') return schema.properties ? 'object' : 'record'
  if (schema.type === 'integer') return 'number'
  return schema.type ?? 'any'
}

function wrapped(type: string): string {
  return type.includes('|') ? `(${type})` : type
}

function defaultOf({ default: value }: Schema): string {
  if (value === undefined || value === null) return '–'
  if (typeof value === 'number' && value >= 10_000) return value.toLocaleString('en')
  return code(JSON.stringify(value))
}

/** Returns the rows of an object's members, with their paths. */
function rowsOf(folder: string, schema: Schema, path: readonly string[]): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const here = [...path, name]
    const parts = [member, ...(member.anyOf ?? [])]
    const inner = parts.flatMap((part) => (part.type === 'object' && part.properties ? rowsOf(folder, part, here) : []))
    const doc = optionDoc(folder, here)
    if (doc === undefined && inner.length === 0) missing.push(`${folder}: ${here.join('.')}`)
    return [[code(here.join('.')), code(typeOf(member)), defaultOf(member), inCell(doc ?? '')], ...inner]
  })
}

const missing: string[] = []

export async function config(): Promise<string> {
  const sections: string[] = []
  for (const [name, folder] of pluginFolders()) {
    const { default: plugin } = (await import(join(ROOT, folder, 'index.ts'))) as { default?: Plugin }
    if (!plugin?.options) continue
    const schema = z.toJSONSchema(plugin.options, { io: 'input', unrepresentable: 'any' }) as Schema
    const rows = rowsOf(folder, schema, [])
    const key = plugin.configKey ?? plugin.name
    sections.push(`## \`${key}\``, `Read by [${name}](../../${folder}/README.md).`)
    if (rows.length > 0) sections.push(table(['option', 'type', 'default', 'meaning'], rows))
    else sections.push(`A record by name. The README of [${name}](../../${folder}/README.md) says what its values are.`)
  }
  if (missing.length > 0) throw new Error(`These options have no docstring:\n${missing.join('\n')}`)
  const core = [
    ...interfaceOf('QueueConfig').members,
    ...interfaceOf('PresetChoice').members,
    ...interfaceOf('CoreConfig').members,
  ]
  return page('Configuration', [
    'All options of `nuxt-queue.config.ts`, of the section `queue` in `nuxt.config.ts`, and of `createKernel({ config })`. All durations are in milliseconds, and all sizes in bytes. An unknown key is an error. A variable overrides an option: `NUXT_QUEUE_HTTP_MAX_BODY=2000000` sets `http.maxBody`.',
    typescript(
      "import { defineConfig } from 'nuxt-queue'\n\nexport default defineConfig({\n  adapter: 'redis',\n  jobs: { attempts: 3 },\n  http: { token: process.env.QUEUE_TOKEN },\n})",
    ),
    '## The application',
    table(
      ['option', 'type', 'meaning'],
      core.map(({ name, type, doc }) => [code(name), code(type), inCell(doc)]),
    ),
    ...sections,
  ])
}
