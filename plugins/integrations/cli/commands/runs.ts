import { resolve } from 'pathe'
import { formatHistory, writeHistory } from '../../../observability/lib/history.ts'
import { assertHistoryFile, parseMoment, parseStatus, parseWhole } from '../arguments.ts'
import { formatTable, runColumns, runRow } from '../output.ts'
import { createTimeline } from '../timeline.ts'
import { LOG_LEVELS } from '../levels.ts'
import { followLogs, parseLevel } from '../logs.ts'
import type { Host } from '../backend.ts'
import { exportAll } from './backup.ts'
import { command, type Commands, type Opener } from './define.ts'

const run = {
  type: 'positional',
  required: true,
  description: 'The id of a run, or a history file (*.jsonl)',
} as const

/** Returns the note about jobs that have not started. A run begins when its job first starts. */
function notStarted(queues: readonly { counts: { waiting: number; delayed: number } }[]): string | undefined {
  const [waiting, delayed] = (['waiting', 'delayed'] as const).map((state) =>
    queues.reduce((sum, { counts }) => sum + counts[state], 0),
  ) as [number, number]
  if (waiting + delayed === 0) return undefined
  return `${waiting} waiting and ${delayed} delayed jobs are not listed, because a run begins when its job starts. See: nuxt-queue queues`
}

export function runCommands(open: Opener, host: Host): Commands {
  return {
    runs: command(
      'List runs, newest first',
      {
        file: { type: 'positional', required: false, description: 'A history file instead of the project' },
        status: { type: 'string', description: 'running, completed, failed or cancelled' },
        flow: { type: 'string', description: 'Only runs of this flow' },
        tag: { type: 'string', description: 'Only runs with this tag' },
        limit: { type: 'string', description: 'The maximum number of runs', default: '20' },
      },
      async ({ file, status, flow, tag, limit }, { cwd, output }) => {
        if (file !== undefined) assertHistoryFile('runs', file)
        const filter = { status: parseStatus(status), flow, tag, limit: parseWhole('limit', limit) }
        const narrowed = status !== undefined || flow !== undefined || tag !== undefined
        const { found, hint } = await (file === undefined
          ? open.project(cwd, async (backend) => ({
              found: await backend.ask('runs', filter),
              hint: narrowed || output.json ? undefined : notStarted(await backend.ask('queues', { internal: false })),
            }))
          : open.history(file, cwd, async (backend) => ({ found: await backend.ask('runs', filter), hint: undefined })))
        if (output.json) return output.value(found)
        if (found.length === 0) output.line('No runs.')
        else for (const line of formatTable(runColumns, found.map(runRow))) output.line(line)
        if (hint !== undefined) output.line(hint)
      },
      ['runs --status failed --limit 5', 'runs --json | jq'],
    ),
    show: command(
      'Show the events of a run',
      { run },
      ({ run: target }, { cwd, output }) =>
        open.run(target, cwd, async (backend) => {
          const history = await backend.ask('run', { runId: backend.runId })
          if (output.json) return output.value(history)
          const timeline = createTimeline({ all: true })
          for (const line of formatTable(runColumns, [runRow(history.run)])) output.line(line)
          for (const event of history.events) {
            output.line(timeline.event(event)!)
            timeline.frames(event).forEach(output.line)
          }
        }),
      ['show 3f6c…', 'show run.jsonl'],
    ),
    logs: command(
      'Print the log of a run',
      {
        run,
        follow: { type: 'boolean', alias: 'f', description: 'Continue until the run ends' },
        level: { type: 'string', description: `The lowest level: ${LOG_LEVELS.join(', ')}`, default: 'debug' },
      },
      ({ run: target, follow, level }, { cwd, output }) => {
        const lowest = parseLevel(level)
        return open.run(target, cwd, (backend) => followLogs(backend, { follow: follow === true, lowest }, output))
      },
      ['logs 3f6c…', 'logs 3f6c… --follow --level warn'],
    ),
    state: command(
      'Show the state of a run, now or at an earlier moment',
      {
        run,
        at: { type: 'string', valueHint: 'seq|date', description: 'The seq of an event, or an ISO date. Default: now' },
      },
      ({ run: target, at }, { cwd, output }) => {
        const moment = parseMoment(at)
        return open.run(target, cwd, async (backend) => {
          const folded = await backend.ask('state', { runId: backend.runId, at: moment })
          if (output.json) output.value(folded)
          else output.block(folded)
        })
      },
      ['state 3f6c…', 'state run.jsonl --at 12', 'state 3f6c… --at 2026-01-31T12:00:00Z'],
    ),
    export: command(
      'Write the history of a run as a file that show, state and replay read, or everything in the store',
      {
        run: { ...run, description: 'The id of a run; with --all, the file to write' },
        all: { type: 'boolean', description: 'Write all jobs and runs of the store, for "import"' },
        out: { type: 'string', valueHint: 'file', description: 'The file. Default: standard output' },
      },
      ({ run: target, out, all }, { cwd, output }) => {
        if (all) return exportAll(host, resolve(cwd, target), { cwd, output })
        return open.project(cwd, async (backend) => {
          const { run: info, events } = await backend.ask('run', { runId: target })
          const history = { run: { ...info, head: events.at(-1)?.seq ?? 0 }, events }
          if (out === undefined) return void process.stdout.write(formatHistory(history))
          const file = resolve(cwd, out)
          await writeHistory(history, file)
          if (output.json) output.value({ file, events: events.length })
          else output.line(`Wrote ${events.length} events to ${file}.`)
        })
      },
      ['export 3f6c… --out run.jsonl', 'export 3f6c… | gzip > run.jsonl.gz', 'export --all backup.jsonl.gz'],
    ),
    replay: command(
      'Step through the events of an exported run and show the state after each',
      {
        file: { type: 'positional', required: true, description: 'A history file (*.jsonl)' },
        to: { type: 'string', valueHint: 'seq', description: 'The last event. Default: all events' },
        types: { type: 'string', valueHint: 'a,b', description: 'Only events of these types. Default: all' },
      },
      ({ file, to, types }, { cwd, output }) => {
        const filter = { to: parseWhole('to', to), types: types?.split(',') }
        assertHistoryFile('replay', file)
        return open.history(file, cwd, async ({ recording }) => {
          const { printReplay, stepThrough } = await import('../replay.ts')
          const interactive = !output.json && process.stdin.isTTY && process.stdout.isTTY
          if (interactive) return stepThrough(recording, filter, { input: process.stdin, output: process.stdout })
          return printReplay(recording, filter, output)
        })
      },
      ['replay run.jsonl', 'replay run.jsonl --types state.set --json'],
    ),
  }
}
