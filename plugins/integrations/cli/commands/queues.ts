import { parseRate, parseWhole } from '../arguments.ts'
import { formatTable } from '../output.ts'
import { command, type Commands, type Opener } from './define.ts'

const queue = { type: 'positional', required: true, description: 'The name of a queue' } as const

export function queueCommands(open: Opener): Commands {
  function toggle(method: 'pause' | 'resume', description: string, done: string) {
    return command(
      description,
      {
        queue,
        key: { type: 'string', description: 'Only the jobs with this fairKey or concurrencyKey, such as a tenant' },
      },
      ({ queue: name, key }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const info = await backend.ask(method, { queue: name, ...(key !== undefined && { key }) })
          if (output.json) output.value(info)
          else output.line(`${done} ${key === undefined ? '' : `key ${key} of `}queue ${name}.`)
        }),
      [`${method} mail`, `${method} mail --key acme`],
    )
  }

  return {
    queues: command(
      'List queues with their job counts',
      { internal: { type: 'boolean', description: 'Include the queues of plugins' } },
      ({ internal }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const queues = await backend.ask('queues', { internal: internal === true })
          if (output.json) return output.value(queues)
          if (queues.length === 0) return output.line('No queues.')
          const rows = queues.map(({ name, paused, pausedKeys = [], counts }) => [
            name,
            counts.waiting,
            counts.delayed,
            counts.active,
            counts.completed,
            counts.failed,
            counts.cancelled,
            [paused ? 'paused' : '', ...pausedKeys.map(({ key }) => `paused: ${key}`)].filter(Boolean).join(', '),
          ])
          const header = ['queue', 'waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled', '']
          for (const line of formatTable(header, rows)) output.line(line)
        }),
      ['queues', 'queues --json | jq'],
    ),
    pause: toggle('pause', 'Pause a queue, or the jobs with a key, in all processes. Running jobs continue', 'Paused'),
    resume: toggle('resume', 'Resume a paused queue or key', 'Resumed'),
    limit: command(
      'Show or change how many jobs of a queue run at once and start in a period, in all processes',
      {
        queue,
        concurrency: { type: 'string', valueHint: 'number', description: 'How many jobs run at once, or none' },
        rate: {
          type: 'string',
          valueHint: 'jobs/duration',
          description: 'How many jobs start, such as 100/1m, or none',
        },
      },
      ({ queue: name, concurrency, rate }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const change = {
            ...(concurrency !== undefined && {
              concurrency: concurrency === 'none' ? null : parseWhole('concurrency', concurrency),
            }),
            ...(rate !== undefined && { rate: parseRate('rate', rate) }),
          }
          const limited = await backend.ask('limit', { queue: name, change })
          if (output.json) return output.value(limited)
          const { limits } = limited
          const parts = [
            limits.concurrency !== undefined && `${limits.concurrency} jobs at once`,
            limits.rate && `${limits.rate.limit} jobs in ${limits.rate.period} ms`,
          ]
          output.line(`Queue ${name}: ${parts.filter(Boolean).join(', ') || 'no limits'}.`)
        }),
      ['limit mail', 'limit mail --concurrency 5 --rate 100/1m', 'limit mail --rate none'],
    ),
    redrive: command(
      'Move dead letters back to their original queues',
      {
        queue: { ...queue, description: 'The queue that holds the dead letters' },
        limit: { type: 'string', description: 'The maximum number of letters. Default: all' },
      },
      ({ queue: name, limit }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const moved = await backend.ask('redrive', { queue: name, limit: parseWhole('limit', limit) })
          if (output.json) return output.value(moved)
          for (const { letter, job } of moved) output.line(`${letter} → job ${job.id} (${job.name} on ${job.queue})`)
          output.line(`Moved ${moved.length} dead ${moved.length === 1 ? 'letter' : 'letters'}.`)
        }),
      ['redrive dead', 'redrive dead --limit 100'],
    ),
  }
}
