import { parseData, parseDelay, parsePairs, parseWhole, parseWords } from '../arguments.ts'
import { QueueError } from '../../../../kernel/index.ts'
import { formatTable, jobColumns, jobRow, type Output } from '../output.ts'
import type { Backend, ChangedJob } from '../protocol.ts'
import { command, type Commands, type Opener } from './define.ts'
import { filterOptions, parseFilter } from './job-filter.ts'

const job = { type: 'positional', required: true, description: 'The id of a job' } as const
const queue = { type: 'string', description: 'The queue of the job. Default: all queues are searched' } as const
const address = { job, queue } as const

const edited = { type: 'string', valueHint: 'JSON', description: 'New data for the job' } as const

/** The messages of a command that changes a job: the change is done, or why nothing was changed. */
interface Said {
  done: string
  unchanged: string
}

/** @throws QueueError `JOB_STATE` if nothing was changed */
function report({ changed, job: { queue: of, id, ...rest } }: ChangedJob, said: Said, output: Output): void {
  if (!changed) throw new QueueError('JOB_STATE', `Job "${id}" of queue "${of}" ${said.unchanged}`)
  if (output.json) output.value({ queue: of, id, ...rest })
  else output.line(`${said.done} job ${id} of queue ${of}.`)
}

/** How long `enqueue --wait` waits before it says why the job does not run, in milliseconds. */
const PATIENCE = 3000

async function explainWait(backend: Backend, stored: { queue: string; id: string }, output: Output): Promise<void> {
  try {
    const { state, reasons } = await backend.ask('explain', stored)
    if (state === 'waiting' || state === 'delayed') for (const { sentence } of reasons) output.note(sentence)
  } catch {
    // The result, which is still awaited, has the same cause.
  }
}

export function jobCommands(open: Opener): Commands {
  /** Defines a command that changes one job. `unchanged` says why nothing was changed. */
  function action(method: 'promote' | 'remove', description: string, said: Said) {
    return command(
      description,
      address,
      ({ job: id, queue: of }, { cwd, output }) =>
        open.project(cwd, async (backend) => report(await backend.ask(method, { id, queue: of }), said, output)),
      [`${method} 3f6c…`, `${method} order-7 --queue mail`],
    )
  }

  return {
    enqueue: command(
      'Enqueue a job',
      {
        worker: {
          type: 'positional',
          required: true,
          description: 'The id of a worker, which is its path below the workers folder',
        },
        data: { type: 'string', valueHint: 'JSON', description: 'The data of the job' },
        id: { type: 'string', description: 'The id of the job. If a job with this id exists, no job is added' },
        delay: { type: 'string', valueHint: 'ms', description: 'Milliseconds before the job runs' },
        tag: { type: 'string', valueHint: 'a,b', description: 'Tags to find the job by' },
        header: { type: 'string', valueHint: 'name=value', description: 'Headers of the job, separated by commas' },
        wait: { type: 'boolean', description: 'Wait for the end of the job, or of its flow, and print the result' },
      },
      ({ worker, data, id, delay, tag, header, wait }, { cwd, output }) => {
        const given = {
          delay: parseWhole('delay', delay),
          tags: parseWords(tag),
          headers: parsePairs('header', header),
        }
        const request = { worker, id, data: parseData(data), ...given }
        return open.project(cwd, async (backend) => {
          const stored = await backend.ask('enqueue', request)
          output.line(`${stored.deduplicated ? 'Already exists' : 'Enqueued'}: job ${stored.id}, run ${stored.runId}`)
          if (!wait) {
            if (output.json) output.value(stored)
            return
          }
          const unanswered = setTimeout(() => void explainWait(backend, stored, output), PATIENCE)
          const result = await backend.ask('result', stored).finally(() => clearTimeout(unanswered))
          if (output.json) output.value({ ...stored, result })
          else output.block(result)
        })
      },
      [`enqueue hello --data '{"name":"Ada"}' --wait`, 'enqueue report --delay 60000 --id monday'],
    ),
    jobs: command(
      'Find jobs, newest first',
      {
        ...filterOptions,
        limit: { type: 'string', description: 'The maximum number of jobs', default: '20' },
        after: { type: 'string', description: 'The "next" of the previous page' },
      },
      ({ limit, after, ...given }, { cwd, output }) => {
        const search = { ...parseFilter(given), after, limit: parseWhole('limit', limit) }
        return open.project(cwd, async (backend) => {
          const { jobs, next, truncated } = await backend.ask('jobs', search)
          if (output.json) return output.value({ jobs, ...(next !== undefined && { next }), truncated })
          if (jobs.length === 0) output.line('No jobs.')
          else for (const line of formatTable(jobColumns, jobs.map(jobRow))) output.line(line)
          if (truncated) output.line('Only the newest 100,000 candidates were examined.')
          if (next !== undefined) output.line(`There may be more: --after ${next}`)
        })
      },
      ['jobs --state failed --since 1h', 'jobs --tag customer:7 --where order.id=12'],
    ),
    explain: command(
      'Explain why a job does not run, or how it ended',
      address,
      ({ job: id, queue: of }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const explanation = await backend.ask('explain', { id, queue: of })
          const { name, queue: found, state, reasons } = explanation
          if (reasons.every(({ code }) => code === 'unknown')) {
            const where = of === undefined ? 'No queue' : `Queue "${of}"`
            throw new QueueError(
              'JOB_NOT_FOUND',
              `${where} has a job "${id}". It may have been removed or have expired.`,
            )
          }
          if (output.json) return output.value(explanation)
          const what = name === undefined ? '' : ` (${name} on ${found})`
          output.line(`job ${id}: ${state ?? 'ended'}${what}`)
          for (const { code, sentence } of reasons) output.line(`  ${code.padEnd(15)}  ${sentence}`)
        }),
      ['explain 3f6c…', 'explain order-7 --queue mail'],
    ),
    retry: command(
      'Run a failed or cancelled job again, with all its attempts',
      { ...address, data: edited },
      ({ job: id, queue: of, data }, { cwd, output }) => {
        const request = { id, queue: of, ...(data !== undefined && { edited: { data: parseData(data) } }) }
        const said = { done: 'Retried', unchanged: 'cannot be retried.' }
        return open.project(cwd, async (backend) => report(await backend.ask('retry', request), said, output))
      },
      ['retry 3f6c…', `retry order-7 --queue mail --data '{"to":"ada@example.com"}'`],
    ),
    duplicate: command(
      'Enqueue a copy of a job, with its options and tags',
      {
        ...address,
        data: edited,
        id: { type: 'string', description: 'The id of the copy. If a job with this id exists, no job is added' },
        delay: {
          type: 'string',
          valueHint: '10m|date',
          description: 'The delay of the copy, or the date when it runs',
        },
      },
      ({ job: id, queue: of, data, id: newId, delay }, { cwd, output }) => {
        const wait = delay === undefined ? undefined : parseDelay('delay', delay)
        const copied = { id, queue: of, newId, ...(wait !== undefined && { delay: wait }) }
        const request = { ...copied, ...(data !== undefined && { edited: { data: parseData(data) } }) }
        return open.project(cwd, async (backend) => {
          const stored = await backend.ask('duplicate', request)
          if (output.json) output.value(stored)
          else
            output.line(`${stored.deduplicated ? 'Already exists' : 'Enqueued'}: job ${stored.id}, run ${stored.runId}`)
        })
      },
      ['duplicate 3f6c…', 'duplicate order-7 --delay 10m'],
    ),
    reschedule: command(
      'Change when a waiting or delayed job runs',
      {
        ...address,
        delay: {
          type: 'string',
          valueHint: '10m|date',
          required: true,
          description: 'The delay of the job, or the date when it runs',
        },
      },
      ({ job: id, queue: of, delay }, { cwd, output }) => {
        const request = { id, queue: of, delay: parseDelay('delay', delay) }
        const said = { done: 'Rescheduled', unchanged: 'does not wait.' }
        return open.project(cwd, async (backend) => report(await backend.ask('reschedule', request), said, output))
      },
      ['reschedule 3f6c… --delay 10m', 'reschedule order-7 --queue mail --delay 2026-12-24T18:00:00Z'],
    ),
    cancel: command(
      'Cancel a job, even while it runs',
      { ...address, reason: { type: 'string', description: 'The reason, which the history of the run keeps' } },
      ({ job: id, queue: of, reason }, { cwd, output }) =>
        open.project(cwd, async (backend) => {
          const { changed, job: found } = await backend.ask('cancel', { id, queue: of, reason })
          if (!changed) throw new QueueError('JOB_STATE', `Job "${id}" of queue "${found.queue}" has already ended.`)
          if (output.json) output.value(found)
          else output.line(`Cancelled job ${id} of queue ${found.queue}.`)
        }),
      [`cancel 3f6c… --reason 'wrong address'`],
    ),
    promote: action('promote', 'Run a delayed job now', {
      done: 'Promoted',
      unchanged: 'is not delayed.',
    }),
    remove: action('remove', 'Remove a job that is not running, and free its id', {
      done: 'Removed',
      unchanged: 'was removed already.',
    }),
  }
}
