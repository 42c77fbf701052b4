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
