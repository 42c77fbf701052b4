import { addressOf, path, post } from '../api/request.ts'
import { can } from '../api/session.ts'
import type { Run } from '../api/types.ts'
import { ask, perform } from './use-feedback.ts'
import { openForm } from './use-json-form.ts'

const toRun = (answer: unknown) => ({ name: 'run', params: { runId: (answer as { runId: string }).runId } })

/** The actions on a run. */
export function useRunActions(changed: () => Promise<unknown>) {
  async function cancel({ runId, name }: Run): Promise<void> {
    const text = `"${name}" (${runId}) ends as cancelled, with its open jobs. This cannot be undone.`
    if (!(await ask({ title: 'Cancel this run?', text, action: 'Cancel the run' }))) return
    await perform(() => post(`${path('runs', runId)}/cancel`), 'The run was cancelled.')
    await changed()
  }

  /** @param at the seq of the last event in the fork, or `undefined` for all events */
  function fork({ runId }: Run, at: number | undefined): void {
    openForm({
      title: at === undefined ? 'Fork this run' : `Fork this run after event ${at}`,
      text: 'A new run begins with the history up to this moment, and continues from there. Changes of the state apply on top of it.',
      action: 'Fork',
      fields: [{ name: 'state', label: 'Changes of the state', value: {} }],
      submit: ({ state }) => post(`${path('runs', runId)}/fork`, { ...(at !== undefined && { at }), state }),
      done: 'The fork has started.',
      leadsTo: toRun,
    })
  }

  /** @param step the name of a step, or the id of one of its jobs */
  function rerun({ runId }: Run, step: string, label: string, input: unknown): void {
    openForm({
      title: `Run ${label} again`,
      text: 'A new run begins with the history before this step, and runs the step again with this input. Leave it empty to keep the input.',
      action: 'Run again',
      fields: [{ name: 'input', label: 'Input', value: input, optional: true }],
      submit: (values) => post(`${path('runs', runId)}/rerun`, { step, ...values }),
      done: 'The new run has started.',
      leadsTo: toRun,
    })
  }

  return {
    cancel,
    fork,
    rerun,
    exportUrl: ({ runId }: Run): string => addressOf(`${path('runs', runId)}/export`).href,
    canFork: ({ flow }: Run): boolean => flow !== undefined && can('runs.fork'),
    canCancel: ({ status }: Run): boolean => status === 'running' && can('runs.cancel'),
  }
}
