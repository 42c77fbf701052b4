/**
 * Writes the table of capabilities into docs/reference/presets.md. It reads them from the presets on real stores. With `--check`, it only checks
 * whether the table is up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createKernel } from 'nuxt-queue'
import { startStore } from '../playground/lib/store.ts'

const PAGE = fileURLToPath(new URL('../docs/reference/presets.md', import.meta.url))
const PRESETS = ['dev', 'dev-file', 'embedded', 'prod-redis', 'prod-postgres']
const [BEGIN, END] = ['<!-- capabilities: written by scripts/capabilities.ts -->', '<!-- /capabilities -->']

/** The rows of the table: the label, the port and the capability. */
const ROWS = [
  ['survives a crash', 'queue', 'durable'],
  ['many processes', 'queue', 'shared'],
  ['`delay`', 'queue', 'delay'],
  ['`priority`', 'queue', 'priority'],
  ['`progress` of jobs', 'queue', 'progress'],
  ['`fairKey`', 'queue', 'fairness'],
  ['`queue(…).setLimits`', 'queue', 'queueLimits'],
  ["`enqueue(…, { db })` in the caller's transaction", 'queue', 'transaction'],
  ['`maxQueueSize`', 'queue', 'maxQueueSize'],
  ['`findJobs`', 'queue', 'search'],
  ['`findJobs({ data })`', 'queue', 'searchData'],
  ['histories survive a crash', 'events', 'durable'],
  ["events of all processes, `subscribe('*')`", 'events', 'shared'],
  ["`subscribe('*', { after })` replays", 'events', 'globalCursor'],
] as const

type Declared = Record<'queue' | 'events', Readonly<Record<string, boolean>>>

async function declaredBy(preset: string): Promise<Declared> {
  await using store = await startStore(preset)
  const reporter = { warn: () => {}, error: () => {} }
  const config = { ...store.config, registry: { dirs: [] }, setupTimeout: 60_000 }
  const kernel = await createKernel({ preset, config, reporter })
  try {
    return { queue: kernel.port('queue').capabilities, events: kernel.port('events').capabilities }
  } finally {
    await kernel.close()
  }
}

async function table(): Promise<string> {
  const declared: Declared[] = []
  for (const preset of PRESETS) declared.push(await declaredBy(preset))
  const shown = new Set<string>(ROWS.map(([, port, name]) => `${port}.${name}`))
  const all = (['queue', 'events'] as const).flatMap((port) =>
    declared.flatMap((one) => Object.keys(one[port]).map((name) => `${port}.${name}`)),
  )
  const missing = all.find((name) => !shown.has(name))
  if (missing !== undefined) throw new Error(`The table has no row for the capability ${missing}. Add one to ROWS.`)
  const lines = ROWS.map(([label, port, name]) => [label, ...declared.map((one) => (one[port][name] ? 'yes' : '–'))])
  return [['', ...PRESETS.map((preset) => `\`${preset}\``)], ['---', ...PRESETS.map(() => '---')], ...lines]
    .map((cells) => `| ${cells.join(' | ')} |\n`)
    .join('')
}

const page = readFileSync(PAGE, 'utf8')
const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
if (begin === -1 || end === -1) throw new Error(`docs/reference/presets.md has no block ${BEGIN} … ${END}.`)
const updated = `${page.slice(0, begin)}${BEGIN}\n\n${await table()}\n${page.slice(end)}`
if (!process.argv.includes('--check')) writeFileSync(PAGE, updated)
else if (updated !== page) {
  process.stderr.write(
    'The table of capabilities in docs/reference/presets.md is out of date. Run: node scripts/capabilities.ts\n',
  )
  process.exitCode = 1
}
