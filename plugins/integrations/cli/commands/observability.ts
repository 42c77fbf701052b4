import { parseChoice, parseDuration, parseWhole } from '../arguments.ts'
import { formatTable } from '../output.ts'
import type { Results } from '../protocol.ts'
import { formatDuration } from '../timeline.ts'
import { command, type Commands, type Opener } from './define.ts'

type Point = Results['stats']['series'][number]

/** The maximum number of rows in the table of statistics, unless a step is given. */
const ROWS = 20

const span = ({ p50, p95 }: Point['wait']): string =>
  p50 === null || p95 === null ? '' : `${formatDuration(p50)} / ${formatDuration(p95)}`

function statsRow({
  ts,
  enqueued,
  started,
  completed,
  failed,
  retried,
  expired,
  wait,
  run,
}: Point): (string | number)[] {
  return [new Date(ts).toISOString(), enqueued, started, completed, failed, retried, expired, span(wait), span(run)]
}

const ERROR_STATUSES = ['open', 'resolved', 'ignored'] as const
/** The actions of `errors <action> <fingerprint>`, and the status that each sets. */
const ERROR_ACTIONS = { resolve: 'resolved', ignore: 'ignored', reopen: 'open' } as const

function errorRow(group: Results['errors'][number]): (string | number)[] {
  const { fingerprint, count, lastSeen, status, regressed, worker, name, message } = group
  const last = new Date(lastSeen).toISOString()
  return [fingerprint, count, last, regressed ? 'regressed' : status, worker, `${name}: ${message}`.slice(0, 100)]
}

export function observabilityCommands(open: Opener): Commands {
  return {
    errors: command(
      'List the error groups of failed jobs, or resolve, ignore or reopen a group',
      {
        action: { type: 'positional', required: false, description: 'resolve, ignore or reopen. Default: list' },
        fingerprint: {
          type: 'positional',
          required: false,
          description: 'The fingerprint of the group, from the first column of the list',
        },
        status: { type: 'string', description: 'open, resolved or ignored. Default: all' },
        queue: { type: 'string', description: 'Only errors of jobs of this queue' },
        limit: { type: 'string', description: 'The maximum number of groups', default: '20' },
      },
      ({ action, fingerprint, status: only, queue, limit }, { cwd, output }) => {
        if (action !== undefined) {
          const status = ERROR_ACTIONS[parseChoice('The action', Object.keys(ERROR_ACTIONS), action) as 'resolve']
          return open.project(cwd, async (backend) => {
            const group = await backend.ask('setErrorStatus', { fingerprint: fingerprint ?? '', status })
            if (output.json) output.value(group)
            else output.line(`${group.fingerprint} is ${group.status}.`)
          })
        }
        const status = only === undefined ? undefined : parseChoice('--status', ERROR_STATUSES, only)
        return open.project(cwd, async (backend) => {
          const groups = await backend.ask('errors', { status, queue, limit: parseWhole('limit', limit) })
          if (output.json) return output.value(groups)
          if (groups.length === 0) return output.line('No errors.')
          const header = ['fingerprint', 'count', 'last seen', 'status', 'worker', 'error']
          for (const line of formatTable(header, groups.map(errorRow))) output.line(line)
        })
      },
      ['errors --status open', 'errors resolve 0f3a9b2c51de77aa'],
    ),
    audit: command(
      'List the actions that were taken over HTTP, newest first',
      {
        actor: { type: 'string', description: 'Only actions of this actor' },
        action: { type: 'string', description: 'Only actions of this type, such as jobs.retry' },
        limit: { type: 'string', description: 'The maximum number of actions', default: '20' },
      },
      ({ actor, action, limit }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const entries = await backend.ask('audit', { actor, action, limit: parseWhole('limit', limit) })
          if (output.json) return output.value(entries)
          if (entries.length === 0) return output.line('No actions.')
          const rows = entries.map((one) => [
            new Date(one.at).toISOString(),
            one.actor ?? '',
            one.action,
            Object.entries(one.subject)
              .map(([name, value]) => `${name} ${value}`)
              .join(', ')
              .slice(0, 100),
            one.outcome,
          ])
          for (const line of formatTable(['at', 'actor', 'action', 'subject', 'outcome'], rows)) output.line(line)
        }),
      ['audit --actor ada'],
    ),
    stats: command(
      'Count jobs over time, and show how long they wait and run',
      {
        queue: { type: 'string', description: 'Only jobs of this queue. Default: all queues' },
        worker: { type: 'string', description: 'Only jobs of the worker with this id' },
        since: {
          type: 'string',
          valueHint: 'duration',
          description: 'The period up to now, such as 15m, 24h or 7d',
          default: '1h',
        },
        step: { type: 'string', valueHint: 'duration', description: 'The time between two rows, such as 1m' },
      },
      ({ queue, worker, since: back, step: wanted }, { cwd, output }) => {
        const since = parseDuration('since', back)
        const step = wanted === undefined ? since / ROWS : parseDuration('step', wanted)
        return open.project(cwd, async (backend) => {
          const stats = await backend.ask('stats', { queue, worker, since, step })
          if (output.json) return output.value(stats)
          const busy = stats.series.filter(({ enqueued, started, run }) => enqueued + started + run.count > 0)
          if (busy.length === 0) return output.line(`No jobs in the last ${back}.`)
          const counts = ['enqueued', 'started', 'completed', 'failed', 'retried', 'expired']
          const header = [`each ${formatDuration(stats.step)}`, ...counts, 'wait p50 / p95', 'run p50 / p95']
          for (const line of formatTable(header, busy.map(statsRow))) output.line(line)
        })
      },
      ['stats', 'stats --queue mail --since 24h'],
    ),
  }
}
