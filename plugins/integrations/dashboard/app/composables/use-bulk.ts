import { computed, ref } from 'vue'
import { useRouter } from 'vue-router'
import { get, post } from '../api/request.ts'
import { can, hasRoute } from '../api/session.ts'
import type { JobState } from '../api/types.ts'
import { BULK_ACTIONS, type BulkAction } from '../lib/bulk.ts'
import { formatNumberOf } from '../lib/format.ts'
import { bodyOfFilter, textOfFilter } from '../lib/job-filter.ts'
import { ask, notify, perform } from './use-feedback.ts'
import { jobActions } from './use-job-actions.ts'
import type { JobSelection } from './use-job-selection.ts'

/** Acts on the selected jobs of a list, or on all jobs that match its filter. */
export function useBulk(
  selection: JobSelection,
  filters: () => Readonly<Record<string, string>>,
  changed: () => Promise<void>,
) {
  const router = useRouter()
  const busy = ref(false)
  const canSelectAll = computed(() => hasRoute('POST /bulk') && can('bulk.start'))
  const actions = computed(() =>
    BULK_ACTIONS.filter(({ action, states }) => {
      if (!can(`jobs.${action}`)) return false
      const { state } = filters()
      if (selection.all.value)
        return state === undefined || state.split(',').some((one) => (states as readonly string[]).includes(one))
      return selection.jobs.value.some((job) => (states as readonly JobState[]).includes(job.state))
    }),
  )

  /** Returns the states that the filter shows and that the action applies to. */
  function statesOf({ states }: BulkAction): readonly string[] {
    const wanted = filters().state?.split(',')
    return states.filter((state) => wanted === undefined || wanted.includes(state))
  }

  async function actOnAll(action: BulkAction): Promise<void> {
    const filter = { ...bodyOfFilter(filters()), states: statesOf(action) }
    const { counts } = await get<{ counts: Record<string, number> }>('jobs/count', {
      ...filters(),
      ...bodyTimes(filter),
      state: filter.states.join(','),
    })
    const count = filter.states.reduce((sum, state) => sum + (counts[state] ?? 0), 0)
    const text = `${formatNumberOf(count, 'job')} with ${textOfFilter(filter)}. It runs in the background, and you can abort it.`
    if (!(await ask({ title: `${action.label} all matching jobs?`, text, action: action.label }))) return
    const done = await perform(() => post('bulk', { action: action.action, filter }), 'The bulk action has started.')
    if (done) await router.push({ name: 'bulk' })
  }

  async function actOnSelected(action: BulkAction): Promise<void> {
    const jobs = selection.jobs.value.filter(({ state }) => (action.states as readonly JobState[]).includes(state))
    const text = `The action applies to ${formatNumberOf(jobs.length, 'job')} of the ${selection.jobs.value.length} selected.`
    const asks = action.action === 'cancel' || action.action === 'remove'
    if (
      asks &&
      !(await ask({ title: `${action.label} ${formatNumberOf(jobs.length, 'job')}?`, text, action: action.label }))
    )
      return
    const refused: string[] = []
    for (const job of jobs) {
      try {
        await jobActions(job)
          .find(({ name }) => name === action.action)
          ?.act?.()
      } catch (error) {
        refused.push((error as Error).message)
      }
    }
    const done = jobs.length - refused.length
    notify(`${action.label}: done for ${formatNumberOf(done, 'job')}.`)
    if (refused.length > 0) notify(`${formatNumberOf(refused.length, 'job')} refused it: ${refused[0]}`, 'failed')
    selection.clear()
    await changed()
  }

  async function act(action: BulkAction): Promise<void> {
    busy.value = true
    try {
      await (selection.all.value ? actOnAll(action) : actOnSelected(action))
    } catch (error) {
      notify((error as Error).message, 'failed')
    } finally {
      busy.value = false
    }
  }

  return { actions, canSelectAll, busy, act }
}

/** The moments of a filter, which an address may hold as `1h`. */
function bodyTimes({ createdAfter, createdBefore }: Record<string, unknown>) {
  return { createdAfter: createdAfter as number | undefined, createdBefore: createdBefore as number | undefined }
}
