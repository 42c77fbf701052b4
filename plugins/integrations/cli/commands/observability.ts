import { parseDuration } from '../arguments.ts'
import { formatTable } from '../output.ts'
import type { Results } from '../protocol.ts'
import { formatDuration } from '../timeline.ts'
import { command, type Commands, type Opener } from './define.ts'

type Point = Results['stats']['series'][number]

/** How many rows the table of statistics has at most, unless a step is given. */
const ROWS = 20

const span = ({ p50, p95 }: Point['wait']): string =>
  p50 === null || p95 === null ? '' : `${formatDuration(p50)} / ${formatDuration(p95)}`

function statsRow({ ts, enqueued, started, completed, failed, retried, wait, run }: Point): (string | number)[] {
  return [new Date(ts).toISOString(), enqueued, started, completed, failed, retried, span(wait), span(run)]
}

export function observabilityCommands(open: Opener): Commands {
  return {
    stats: command(
      'Count jobs over time, and show how long they wait and run',
      {
        queue: { type: 'string', description: 'Only jobs of this queue. Default: all queues' },
        worker: { type: 'string', description: 'Only jobs of the worker with this id' },
        since: {
          type: 'string',
          valueHint: 'duration',
          description: 'How far back, such as 15m, 24h or 7d',
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
          const counts = ['enqueued', 'started', 'completed', 'failed', 'retried']
          const header = [`each ${formatDuration(stats.step)}`, ...counts, 'wait p50 / p95', 'run p50 / p95']
          for (const line of formatTable(header, busy.map(statsRow))) output.line(line)
        })
      },
      ['stats', 'stats --queue mail --since 24h'],
    ),
  }
}
