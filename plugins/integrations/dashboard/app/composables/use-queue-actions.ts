import { post, path } from '../api/request.ts'
import type { Queue } from '../api/types.ts'
import { formatNumberOf } from '../lib/format.ts'
import { durationText, requiredDuration } from '../lib/moments.ts'
import { ask, perform } from './use-feedback.ts'
import { openForm } from './use-json-form.ts'

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

  /** Pauses the jobs of one tenant, or of another group with the same key. */
  function pauseKey({ name }: Queue): void {
    openForm({
      title: 'Pause a key',
      text: `Jobs of "${name}" whose "fairKey" or "concurrencyKey" is this key wait until you resume it, in all processes. Running jobs continue.`,
      action: 'Pause',
      fields: [{ name: 'key', label: 'Key', value: '', line: true, placeholder: 'acme' }],
      async submit({ key }) {
        await post(`${path('queues', name)}/pause`, { key })
        await changed()
      },
      done: `The key is paused in "${name}".`,
    })
  }

  async function resumeKey({ name }: Queue, key: string): Promise<void> {
    await perform(() => post(`${path('queues', name)}/resume`, { key }), `The jobs with the key "${key}" run again.`)
    await changed()
  }

  /** Changes the limits of all processes together. An empty field removes its limit. */
  function changeLimits({ name, limits = {} }: Queue): void {
    const { concurrency, rate } = limits
    const field = (of: string, label: string, value: string | undefined, placeholder: string) =>
      ({ name: of, label, value: value ?? '', placeholder, line: true }) as const
    openForm({
      title: `Limits of ${name}`,
      text: 'They apply to all processes together, and to the next job that each of them claims. An empty field is no limit.',
      action: 'Save',
      fields: [
        field('concurrency', 'Jobs at once', concurrency?.toString(), 'no limit'),
        field('limit', 'Jobs in a period', rate?.limit.toString(), 'no limit'),
        field('period', 'Length of the period', rate && durationText(rate.period), '30s, 10m or 1h'),
      ],
      async submit(texts) {
        const { concurrency: most, limit, period } = texts as Record<'concurrency' | 'limit' | 'period', string>
        const change = {
          concurrency: most === '' ? null : wholeNumber('Jobs at once', most),
          rate:
            limit === ''
              ? null
              : {
                  limit: wholeNumber('Jobs in a period', limit),
                  period: requiredDuration('Length of the period', period),
                },
        }
        await post(`${path('queues', name)}/limits`, change)
        await changed()
      },
      done: `The limits of "${name}" are saved.`,
    })
  }

  return { pause, resume, redrive, drain, pauseKey, resumeKey, changeLimits }
}

/** @throws Error */
function wholeNumber(label: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Error(`${label}: enter a whole number from 1, or nothing.`)
}
