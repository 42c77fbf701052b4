import { path, post, remove } from '../api/request.ts'
import { can, hasRoute } from '../api/session.ts'
import type { Job } from '../api/types.ts'
import type { IconName } from '../lib/icons.ts'
import { delayOf } from '../lib/moments.ts'
import { ask, perform, type Question } from './use-feedback.ts'
import { openForm, type JsonForm } from './use-json-form.ts'

export interface JobAction {
  name: 'retry' | 'edit' | 'duplicate' | 'promote' | 'reschedule' | 'cancel' | 'remove'
  label: string
  icon: IconName
  /** A confirmation before an action that cannot be undone. */
  question?: Omit<Question, 'action'>
  act?: () => Promise<unknown>
  /** A form that is shown first. Its `submit` runs the action. */
  form?: JsonForm
  done: string
}

/** Returns the actions that this user may take on a job in its state. */
export function jobActions({ queue, id, name, state, data, flow }: Job): JobAction[] {
  const base = path('jobs', queue, id)
  const what = `"${name}" (${id}) of queue "${queue}"`
  const ended = state === 'failed' || state === 'cancelled'
  const open = state === 'waiting' || state === 'delayed' || state === 'active'
  const all: (JobAction & { when: boolean })[] = [
    {
      name: 'retry',
      label: 'Retry',
      icon: 'retry',
      when: ended,
      act: () => post(`${base}/retry`),
      done: 'The job runs again.',
    },
    {
      name: 'edit',
      label: 'Edit and retry',
      icon: 'edit',
      // A step of a flow cannot be duplicated. Its run can be forked with other input instead.
      when: ended && flow === undefined && hasRoute('POST /jobs/{queue}/{job}/duplicate'),
      form: {
        title: `Retry ${name} with other data`,
        text: 'This data replaces the data of the job and is checked with the schema of its worker.',
        action: 'Retry',
        fields: [{ name: 'data', label: 'Data', value: data }],
        submit: (values) => post(`${base}/retry`, values),
        done: 'The job runs again with this data.',
      },
      done: '',
    },
    {
      name: 'duplicate',
      label: 'Duplicate',
      icon: 'copy',
      when: flow === undefined && hasRoute('POST /jobs/{queue}/{job}/duplicate'),
      form: {
        title: `Enqueue a copy of ${name}`,
        text: 'The copy has the options and tags of this job, and this data.',
        action: 'Enqueue',
        fields: [{ name: 'data', label: 'Data', value: data }],
        submit: (values) => post(`${base}/duplicate`, values),
        done: 'The copy was enqueued.',
        leadsTo: (copy) => {
          const { queue: to, id: job } = copy as { queue: string; id: string }
          return { name: 'job', params: { queue: to, job } }
        },
      },
      done: '',
    },
    {
      name: 'reschedule',
      label: 'Reschedule',
      icon: 'later',
      when: (state === 'waiting' || state === 'delayed') && hasRoute('POST /jobs/{queue}/{job}/reschedule'),
      form: {
        title: `Choose when ${name} runs`,
        text: 'Enter a duration from now, or a date.',
        action: 'Reschedule',
        fields: [
          { name: 'when', label: 'When', value: '', line: true, placeholder: '10m, 2h, 3d or 2026-12-24T18:00' },
        ],
        submit: ({ when }) => post(`${base}/reschedule`, { delay: delayOf(String(when)) }),
        done: 'The job was rescheduled.',
      },
      done: '',
    },
    {
      name: 'promote',
      label: 'Run now',
      icon: 'promote',
      when: state === 'delayed',
      act: () => post(`${base}/promote`),
      done: 'The job is due now.',
    },
    {
      name: 'cancel',
      label: 'Cancel',
      icon: 'cancel',
      when: open,
      question: {
        title: 'Cancel this job?',
        text: `${what} ends as cancelled${state === 'active' ? ', and its handler is aborted' : ''}. You can retry it later.`,
      },
      act: () => post(`${base}/cancel`),
      done: 'The job was cancelled.',
    },
    {
      name: 'remove',
      label: 'Remove',
      icon: 'remove',
      when: state !== 'active',
      question: {
        title: 'Remove this job?',
        text: `${what} is removed with its data. This cannot be undone. The events of its run are kept.`,
      },
      act: () => remove(base),
      done: 'The job was removed.',
    },
  ]
  return all.filter(({ when, name: action }) => when && can(`jobs.${action === 'edit' ? 'retry' : action}`))
}

/**
 * Asks for confirmation if necessary, runs the action, and shows the outcome. Resolves to whether it was done, or will be done by a form.
 */
export async function runAction({ question, label, act, form, done }: JobAction): Promise<boolean> {
  if (form) openForm(form)
  if (!act) return false
  if (question && !(await ask({ ...question, action: label }))) return false
  return perform(act, done)
}
