import { QueueError } from '../../../../kernel/index.ts'
import { parseChoice, parseWhole } from '../arguments.ts'
import { formatTable, type Output } from '../output.ts'
import type { Results } from '../protocol.ts'
import { command, type Commands, type Opener } from './define.ts'
import { filterOptions, parseFilter } from './job-filter.ts'

type Report = Results['bulkReport']

const ACTIONS = ['retry', 'cancel', 'remove', 'promote', 'redrive'] as const
const OTHERS = ['list', 'show', 'abort'] as const

function print(report: Report, output: Output): void {
  if (output.json) return output.value(report)
  const { id, action, status, matched, total, done, skipped, failed, reasons, truncated } = report
  const of = total === undefined ? '' : ` of ${total}`
  output.line(`bulk ${id}: ${action} ${status}`)
  output.line(`  ${matched}${of} selected: ${done} done, ${skipped} skipped, ${failed} failed`)
  for (const { code, count, message } of reasons) output.line(`  ${String(count).padStart(6)}  ${code}  ${message}`)
  if (truncated) output.line(' The action stopped at its limit. More jobs may match.')
}

function printAll(reports: readonly Report[], output: Output): void {
  if (output.json) return output.value(reports)
  if (reports.length === 0) return output.line('No bulk actions.')
  const rows = reports.map((one) => [
    ...[new Date(one.requestedAt).toISOString(), one.id, one.action, one.status],
    ...[one.matched, one.done, one.skipped, one.failed],
  ])
  const header = ['requested', 'id', 'action', 'status', 'matched', 'done', 'skipped', 'failed']
  for (const line of formatTable(header, rows)) output.line(line)
}

export function bulkCommands(open: Opener): Commands {
  return {
    bulk: command(
      'Act on all jobs that match a filter, or list, show and abort such actions',
      {
        action: { type: 'positional', required: true, description: [...ACTIONS, ...OTHERS].join(', ') },
        id: { type: 'positional', required: false, description: 'The id of the bulk action to show or abort' },
        ...filterOptions,
        all: { type: 'boolean', description: 'Allows an action without a filter' },
        limit: { type: 'string', description: 'The maximum number of jobs. Default: 100,000' },
        reason: { type: 'string', description: 'The reason for a cancellation' },
        'dry-run': { type: 'boolean', description: 'Only count the jobs that match' },
        wait: { type: 'boolean', description: 'Wait for the end, and print the report' },
      },
      ({ action: what, id, all, limit, reason, 'dry-run': dry, wait, ...given }, { cwd, output }) => {
        const action = parseChoice('What to do', [...ACTIONS, ...OTHERS], what)
        const filter = parseFilter(given)
        return open.project(cwd, async (backend) => {
          if (action === 'list') {
            return printAll(await backend.ask('bulkReports', { limit: parseWhole('limit', limit) }), output)
          }
          if (action === 'show') return print(await backend.ask('bulkReport', { id: id ?? '' }), output)
          if (action === 'abort') {
            const changed = await backend.ask('abortBulk', { id: id ?? '' })
            if (!changed) throw new QueueError('JOB_STATE', `Bulk action "${id}" has already ended.`)
            return output.json ? output.value({ id, changed }) : output.line(`Bulk action ${id} is stopping.`)
          }
          if (all !== true && Object.values(filter).every((value) => value === undefined)) {
            const message = `Without a filter, "bulk ${action}" acts on the jobs of all queues. Add a filter, or --all.`
            throw new QueueError('OPTION_INVALID', message)
          }
          if (dry === true) {
            const { counts, truncated } = await backend.ask('countBulk', { action, filter })
            const matched = Object.values(counts).reduce((sum, count) => sum + count)
            if (output.json) return output.value({ matched, counts, truncated })
            return output.line(`${truncated ? 'At least ' : ''}${matched} jobs match. Nothing was changed.`)
          }
          const options = { limit: parseWhole('limit', limit), reason }
          print(await backend.ask('bulk', { action, filter, ...options, wait: wait === true }), output)
        })
      },
      ['bulk retry --state failed --since 1h --dry-run', 'bulk cancel --queue mail --tag import-7 --wait', 'bulk list'],
    ),
  }
}
