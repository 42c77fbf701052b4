import { parseWhole } from '../arguments.ts'
import { formatTable } from '../output.ts'
import { command, type Commands, type Opener } from './define.ts'

const date = (ms: number | undefined): string => (ms === undefined ? '' : new Date(ms).toISOString())

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
          description: 'The largest number of names and keys that are waited for',
          default: '100',
        },
        after: { type: 'string', description: 'The "next" of the page before' },
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
      'List schedules and when they run next',
      {},
      (_args, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const schedules = await backend.ask('schedules', {})
          if (output.json) return output.value(schedules)
          if (schedules.length === 0) return output.line('No schedules.')
          const rows = schedules.map(({ name, rule, target, next }) => [name, rule, target, date(next)])
          for (const line of formatTable(['schedule', 'rule', 'starts', 'next'], rows)) output.line(line)
        }),
      ['schedules'],
    ),
  }
}
