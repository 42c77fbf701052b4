import { post, path } from '../api/request.ts'
import type { Queue } from '../api/types.ts'
import { formatNumberOf } from '../lib/format.ts'
import { ask, perform } from './use-feedback.ts'

/** The actions on a queue. Each shows its effect before it runs, and its outcome afterwards. */
export function useQueueActions(changed: () => Promise<void>) {
  async function pause({ name, counts }: Queue): Promise<void> {
    const text = `Workers of all processes stop taking jobs from "${name}". ${counts.active} running jobs continue and ${counts.waiting} waiting jobs stay. You can resume the queue at any time.`
    if (!(await ask({ title: `Pause ${name}?`, text, action: 'Pause' }))) return
    await perform(() => post(`${path('queues', name)}/pause`), `Queue "${name}" is paused.`)
    await changed()
  }

  async function resume({ name }: Queue): Promise<void> {
    await perform(() => post(`${path('queues', name)}/resume`), `Queue "${name}" runs again.`)
    await changed()
  }

  async function redrive({ name, counts }: Queue): Promise<void> {
    const text = `Each dead letter among the ${counts.waiting + counts.delayed} jobs of "${name}" returns to its original queue.`
    if (!(await ask({ title: `Redrive ${name}?`, text, action: 'Redrive' }))) return
    await perform(() => post(`${path('queues', name)}/redrive`), `The dead letters of "${name}" were moved.`)
    await changed()
  }

  /** Removes the waiting jobs. It is a bulk action, so it can be followed and aborted. */
  async function drain({ name, counts }: Queue): Promise<void> {
    const text = `${formatNumberOf(counts.waiting, 'waiting job')} of "${name}" will be removed permanently. Running jobs continue, and delayed jobs stay. You can abort the action while it runs.`
    if (!(await ask({ title: `Drain ${name}?`, text, action: 'Drain', danger: true }))) return
    const body = { action: 'remove', filter: { queue: name, states: ['waiting'] } }
    await perform(() => post('bulk', body), `The waiting jobs of "${name}" are being removed.`)
    await changed()
  }

  return { pause, resume, redrive, drain }
}
