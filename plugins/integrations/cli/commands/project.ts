import { parseChoice, parseData, parseTime, parseWhole } from '../arguments.ts'
import { formatTable, type Output } from '../output.ts'
import type { Results } from '../protocol.ts'
import { command, type Commands, type Opener } from './define.ts'

const date = (ms: number | undefined): string => (ms === undefined ? '' : new Date(ms).toISOString())

const ACTIONS = ['list', 'save', 'pause', 'resume', 'remove', 'run', 'backfill'] as const
const DONE = { save: 'saved', pause: 'paused', resume: 'resumed', remove: 'removed', run: 'started' } as const

export function projectCommands(open: Opener): Commands {
  return {
    workers: command(
      'List the workers of a project',
      {},
      (_args, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const workers = await backend.ask('workers', {})
          if (output.json) return output.value(workers)
          if (workers.length === 0) return output.line('No workers. Add one to server/queues/.')
          const rows = workers.map(({ id, queue, runtime, concurrency, file }) => [
            id,
            queue,
            runtime,
            concurrency,
            file ?? 'registered by code',
          ])
          for (const line of formatTable(['worker', 'queue', 'runtime', 'concurrency', 'file'], rows)) output.line(line)
        }),
      ['workers'],
    ),
    waits: command(
      'List the open waits for events and requests',
      {
        limit: {
          type: 'string',
          description: 'The maximum number of names and keys of events',
          default: '100',
        },
        after: { type: 'string', description: 'The "next" of the previous page' },
      },
      ({ limit, after }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const { waits, next } = await backend.ask('waits', { limit: parseWhole('limit', limit), after })
          if (output.json) return output.value({ waits, ...(next !== undefined && { next }) })
          if (waits.length === 0) output.line('No open waits.')
          const rows = waits.map((one) => [
            ...[date(one.startedAt), one.runId, one.jobId, one.name, one.event ?? one.kind, one.key ?? ''],
            date(one.until),
          ])
          const header = ['since', 'run', 'job', 'wait', 'for', 'key', 'until']
          if (rows.length > 0) for (const line of formatTable(header, rows)) output.line(line)
          if (next !== undefined) output.line(`There may be more: --after ${next}`)
        }),
      ['waits'],
    ),
    schedules: command(
      'List schedules and their next runs, or change a schedule in all processes',
      {
        action: { type: 'positional', required: false, description: `${ACTIONS.join(', ')}. Default: list` },
        name: { type: 'positional', required: false, description: 'The name of a schedule' },
        data: {
          type: 'string',
          valueHint: 'JSON',
          description: 'For save: the schedule, such as {"cron":"0 3 * * *","worker":"report"}',
        },
        from: { type: 'string', valueHint: '7d|date', description: 'For backfill: the start of the range' },
        to: { type: 'string', valueHint: '1d|date', description: 'For backfill: the end of the range. Default: now' },
      },
      ({ action, name = '', data, from, to }, { cwd, output }) => {
        const change = action === undefined ? 'list' : parseChoice('The action', ACTIONS, action)
        return open.project(cwd, async (backend) => {
          if (change === 'list') return printSchedules(await backend.ask('schedules', {}), output)
          if (change === 'backfill') {
            const range = { from: parseTime('from', from ?? '', Date.now())!, to: parseTime('to', to, Date.now()) }
            const { moments } = await backend.ask('backfillSchedule', { name, ...range })
            return output.json
              ? output.value({ moments })
              : output.line(`Started ${name} for ${moments.length} moments.`)
          }
          if (change === 'save') {
            await backend.ask('saveSchedule', { name, schedule: Object(parseData(data)) as Record<string, unknown> })
          } else await backend.ask('changeSchedule', { name, change })
          if (output.json) output.value({ name, change })
          else output.line(`Schedule ${name}: ${DONE[change]}.`)
        })
      },
      ['schedules', 'schedules pause nightly', 'schedules backfill nightly --from 7d'],
    ),
  }
}

function printSchedules(schedules: Results['schedules'], output: Output): void {
  if (output.json) return output.value(schedules)
  if (schedules.length === 0) return output.line('No schedules.')
  const rows = schedules.map((one) => [
    ...[
      one.name,
      one.rule,
      one.target,
      one.removed ? 'removed' : one.paused ? 'paused' : date(one.next),
      one.last ?? '',
    ],
  ])
  for (const line of formatTable(['schedule', 'rule', 'starts', 'next', 'last'], rows)) output.line(line)
}
