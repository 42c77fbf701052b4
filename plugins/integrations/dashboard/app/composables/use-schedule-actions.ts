import { path, post, remove as removeRoute } from '../api/request.ts'
import { can } from '../api/session.ts'
import { formatMoment, formatNumberOf } from '../lib/format.ts'
import { momentOf } from '../lib/moments.ts'
import type { RowAction } from '../lib/row-action.ts'
import { targetOf, triggerOf, type Schedule } from '../lib/schedules.ts'
import { ask, perform } from './use-feedback.ts'
import { openForm } from './use-json-form.ts'

/** The maximum number of moments that a backfill starts. */
const MAX_MOMENTS = 1000

/** @throws Error for text that is not a moment */
function moment(label: string, text: unknown): number {
  const found = momentOf(String(text))
  if (found !== undefined) return found
  throw new Error(`${label}: enter how long ago, such as 12h or 7d, or a date.`)
}

function startedText(answer: unknown): string {
  const { moments } = answer as { moments: readonly number[] }
  if (moments.length === 0) return 'The range has no moment of this schedule.'
  const more = moments.length < MAX_MOMENTS ? '' : ` For more, backfill from ${formatMoment(moments.at(-1)! + 1)} on.`
  return `It starts for ${formatNumberOf(moments.length, 'moment')}.${more}`
}

/** The actions on schedules. Each shows its outcome, and asks for confirmation before it removes something. */
export function useScheduleActions(changed: () => Promise<void>, edit: (schedule: Schedule) => void) {
  const addressOf = (name: string): string => path('schedules', name)

  async function pause(schedule: Schedule): Promise<void> {
    const text = `Its moments no longer start ${targetOf(schedule)}, in all processes. Moments before you resume it are not caught up.`
    if (!(await ask({ title: `Pause ${schedule.name}?`, text, action: 'Pause' }))) return
    await perform(() => post(`${addressOf(schedule.name)}/pause`), `Schedule "${schedule.name}" is paused.`)
    await changed()
  }

  async function resume(name: string, done = `Schedule "${name}" runs again.`): Promise<void> {
    await perform(() => post(`${addressOf(name)}/resume`), done)
    await changed()
  }

  async function run({ name, ...schedule }: Schedule): Promise<void> {
    await perform(() => post(`${addressOf(name)}/run`), `"${name}" starts ${targetOf({ name, ...schedule })} now.`)
    await changed()
  }

  async function remove(schedule: Schedule): Promise<void> {
    const { name, source } = schedule
    const back = source === 'code' ? ' Code declares it, so you can restore it.' : ' This cannot be undone.'
    const text = `It no longer starts ${targetOf(schedule)}, in all processes. Jobs and runs that it has started are kept.${back}`
    if (!(await ask({ title: `Remove ${name}?`, text, action: 'Remove' }))) return
    await perform(() => removeRoute(addressOf(name)), `Schedule "${name}" was removed.`)
    await changed()
  }

  function backfill(schedule: Schedule): void {
    openForm({
      title: `Backfill ${schedule.name}`,
      text: `Each moment in the range starts ${targetOf(schedule)} once, oldest first, up to ${MAX_MOMENTS} moments. Moments that have already started it start nothing.`,
      action: 'Backfill',
      fields: [
        { name: 'from', label: 'From', value: '', line: true, placeholder: '7d, or 2026-11-01T00:00' },
        { name: 'to', label: 'To', value: '', line: true, placeholder: 'now', optional: true },
      ],
      async submit({ from, to }) {
        const range = { from: moment('From', from), ...(to !== undefined && { to: moment('To', to) }) }
        const answer = await post(`${addressOf(schedule.name)}/backfill`, range)
        await changed()
        return answer
      },
      done: startedText,
    })
  }

  return function actionsOf(schedule: Schedule): RowAction[] {
    const { name, paused, removed } = schedule
    const back: RowAction = {
      ...{ name: 'resume', label: 'Bring back', icon: 'retry' },
      act: () => resume(name, `Schedule "${name}" was restored.`),
    }
    const all: RowAction[] = [
      { name: 'run', label: 'Run now', icon: 'promote', act: () => run(schedule) },
      paused
        ? { name: 'resume', label: 'Resume', icon: 'play', act: () => resume(name) }
        : { name: 'pause', label: 'Pause', icon: 'pause', act: () => pause(schedule) },
      { name: 'save', label: 'Edit', icon: 'edit', act: () => edit(schedule) },
      { name: 'backfill', label: 'Backfill', icon: 'backfill', act: () => backfill(schedule) },
      { name: 'remove', label: 'Remove', icon: 'remove', act: () => remove(schedule) },
    ]
    // A trigger defines its own schedule.
    return (removed ? [back] : all).filter(
      (one) => can(`schedules.${one.name}`) && (one.name !== 'save' || triggerOf(schedule) === undefined),
    )
  }
}
