import { path, post, remove } from '../api/request.ts'
import { can } from '../api/session.ts'
import type { Job } from '../api/types.ts'
import type { IconName } from '../lib/icons.ts'
import { ask, perform, type Question } from './use-feedback.ts'

export interface JobAction {
  name: 'retry' | 'promote' | 'cancel' | 'remove'
  label: string
  icon: IconName
  /** Asked before the action, which cannot be undone. */
  question?: Omit<Question, 'action'>
  act: () => Promise<unknown>
  done: string
}

/** Returns what can be done with a job in its state, by this user. */
export function jobActions({ queue, id, name, state }: Job): JobAction[] {
  const base = path('jobs', queue, id)
  const what = `"${name}" (${id}) of queue "${queue}"`
  const open = state === 'waiting' || state === 'delayed' || state === 'active'
  const all: (JobAction & { when: boolean })[] = [
    {
      name: 'retry',
      label: 'Retry',
      icon: 'retry',
      when: state === 'failed' || state === 'cancelled',
      act: () => post(`${base}/retry`),
      done: 'The job runs again.',
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
        text: `${what} is removed with its data. This cannot be undone. The events of its run stay.`,
      },
      act: () => remove(base),
      done: 'The job was removed.',
    },
  ]
  return all.filter(({ when, name: action }) => when && can(`jobs.${action}`))
}

/** Asks if the action needs it, does it, and shows what came of it. Resolves to whether it was done. */
export async function runAction({ question, label, act, done }: JobAction): Promise<boolean> {
  if (question && !(await ask({ ...question, action: label }))) return false
  return perform(act, done)
}
