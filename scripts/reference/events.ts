/** The page of all event types. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'pathe'
import { ACTIONS } from '../../plugins/integrations/http/access.ts'
import { PLUGIN_EVENTS, RUN_EVENTS } from './event-types.ts'
import { code, inCell, page, table, typescript } from './markdown.ts'
import { interfaceOf, ROOT } from './source.ts'

/**
 * Strings of the sources that look like event types but are not: names of options, calls of the worker protocol, and one event of the bus.
 */
const OTHERS = new Set([
  'debounce.call',
  'debounce.call.headers',
  'wait.log',
  'worker.name',
  'worker.queue',
  'step.look',
  'step.run',
  'flow.ended',
  'errors.resolve',
  'errors.ignore',
  'errors.reopen',
])
const LIKE_A_TYPE =
  /'((?:flow|step|state|runner|wait|worker|debounce|unique|group|schedule|trigger|stats|errors|audit|client)(?:\.[a-z]+)+)'/g

/** @throws Error if the sources write a type that the tables lack, or do not write a type that the tables have */
function check(known: readonly string[]): void {
  const files = globSync('{kernel,plugins}/**/*.ts', { cwd: ROOT }).filter((file) => !file.includes('dashboard/app'))
  const sources = files.map((file) => readFileSync(join(ROOT, file), 'utf8'))
  const found = new Set(sources.flatMap((source) => [...source.matchAll(LIKE_A_TYPE)].map(([, type]) => type!)))
  const missing = [...found].filter(
    (type) => !known.includes(type) && !OTHERS.has(type) && !(ACTIONS as readonly string[]).includes(type),
  )
  if (missing.length > 0)
    throw new Error(`scripts/reference/event-types.ts lacks ${missing.join(', ')}. Add what they mean.`)
  const unwritten = known.filter(
    (type) =>
      !sources.some((source) => source.includes(`'${type}'`)) && !/^flow\.(?:completed|failed|cancelled)$/.test(type),
  )
  if (unwritten.length > 0)
    throw new Error(`scripts/reference/event-types.ts has ${unwritten.join(', ')}, which no source writes.`)
}

export function events(): string {
  const ofRuns = Object.values(RUN_EVENTS).flat()
  check([...ofRuns.map(([type]) => type), ...PLUGIN_EVENTS.map(([type]) => type)])
  const sections = Object.entries(RUN_EVENTS).flatMap(([title, rows]) => [
    `## ${title}`,
    table(
      ['type', 'what has happened', 'data'],
      rows.map(([type, meaning, data]) => [code(type), meaning, data]),
    ),
  ])
  const stored = interfaceOf('EventDraft').members.concat(interfaceOf('StoredEvent').members)
  return page('Events', [
    'Everything that happens in a run is an event in its stream. The state, the timeline and the next steps of a run follow from its events.',
    typescript("const events = await kernel.port('events').read(runId, { types: ['step.completed', 'step.failed'] })"),
    table(
      ['member', 'type', 'meaning'],
      stored.map(({ name, type, doc }) => [code(name), code(type), inCell(doc)]),
    ),
    ...sections,
    '## Your own events',
    '`ctx.emit(type, data)` appends your own event to the run. Its type must not begin like one of the types above. Otherwise it throws [`NAME_RESERVED`](errors.md#name_reserved).',
    '## Messages',
    'Messages are not stored. Clients that follow a run receive them: `progress` with `value` and `message`, and `client` with the `type` and `data` of `ctx.client.send`.',
    '## Streams of plugins',
    'Plugins also store their own data as events, in streams that are not runs. Read them with the methods of the kernel.',
    table(
      ['type', 'what has happened', 'read by'],
      PLUGIN_EVENTS.map(([type, meaning, by]) => [code(type), meaning, by]),
    ),
  ])
}
