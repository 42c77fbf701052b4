import { post, path } from '../api/request.ts'
import type { Queue } from '../api/types.ts'
import { formatNumberOf } from '../lib/format.ts'
import { ask, perform } from './use-feedback.ts'

/** The actions on a queue. Each shows its outcome, and what it will hit before it happens. */
export function useQueueActions(changed: () => Promise<void>) {
  async function pause({ name, counts }: Queue): Promise<void> {
    const text = `Workers of all processes take no more jobs from "${name}". ${counts.active} running and ${counts.waiting} waiting jobs stay. Resume it at any time.`
    if (!(await ask({ title: `Pause ${name}?`, text, action: 'Pause' }))) return
    await perform(() => post(`${path('queues', name)}/pause`), `Queue "${name}" is paused.`)
    await changed()
  }

  async function resume({ name }: Queue): Promise<void> {
    await perform(() => post(`${path('queues', name)}/resume`), `Queue "${name}" runs again.`)
    await changed()
  }

  async function redrive({ name, counts }: Queue): Promise<void> {
    const text = `Each dead letter among the ${counts.waiting + counts.delayed} jobs of "${name}" goes back to the queue that it came from.`
    if (!(await ask({ title: `Redrive ${name}?`, text, action: 'Redrive' }))) return
    await perform(() => post(`${path('queues', name)}/redrive`), `The dead letters of "${name}" were moved.`)
    await changed()
  }

  /** Removes the jobs that wait now. It is a bulk action, so that it can be followed and aborted. */
  async function drain({ name, counts }: Queue): Promise<void> {
    const text = `${formatNumberOf(counts.waiting, 'waiting job')} of "${name}" will be gone for good. Running jobs end, and delayed jobs stay. You can abort it while it runs.`
    if (!(await ask({ title: `Drain ${name}?`, text, action: 'Drain', danger: true }))) return
    const body = { action: 'remove', filter: { queue: name, states: ['waiting'] } }
    await perform(() => post('bulk', body), `The waiting jobs of "${name}" are being removed.`)
    await changed()
  }

  return { pause, resume, redrive, drain }
}
