import { path, post, remove as removeRoute } from '../api/request.ts'
import { can } from '../api/session.ts'
import type { RowAction } from '../lib/row-action.ts'
import { startsOf, type Trigger } from '../lib/schedules.ts'
import { ask, perform } from './use-feedback.ts'
import { openForm } from './use-json-form.ts'

/** Opens the form that fires a trigger manually. */
export function fireTrigger(
  trigger: Trigger,
  { payload, key }: { payload?: unknown; key?: string },
  changed: () => Promise<void>,
): void {
  openForm({
    title: `Fire ${trigger.name}`,
    text: `It starts ${startsOf(trigger)}, like an event with this payload.`,
    action: 'Fire',
    fields: [{ name: 'payload', label: 'Payload', value: payload, optional: true }],
    async submit({ payload: given }) {
      const named = key === undefined || key === '' ? {} : { key }
      await post(path('triggers', trigger.name), { ...named, ...(given !== undefined && { payload: given }) })
      await changed()
    },
    done: `Trigger "${trigger.name}" was fired.`,
  })
}

/** The actions on triggers. Each shows its outcome, and asks for confirmation before it removes something. */
export function useTriggerActions(changed: () => Promise<void>, edit: (trigger: Trigger) => void) {
  const addressOf = (name: string): string => path('triggers', name)

  async function pause(trigger: Trigger): Promise<void> {
    const { name, type } = trigger
    const senders = type === 'webhook' ? ' Senders receive 503, so that they try again.' : ''
    const text = `Its events no longer start ${startsOf(trigger)}, in all processes. They are kept here as refused.${senders}`
    if (!(await ask({ title: `Pause ${name}?`, text, action: 'Pause' }))) return
    await perform(() => post(`${addressOf(name)}/pause`), `Trigger "${name}" is paused.`)
    await changed()
  }

  async function resume(name: string, done = `Trigger "${name}" starts again.`): Promise<void> {
    await perform(() => post(`${addressOf(name)}/resume`), done)
    await changed()
  }

  async function remove(trigger: Trigger): Promise<void> {
    const { name, source } = trigger
    const back = source === 'code' ? ' Code declares it, so you can restore it.' : ' This cannot be undone.'
    const text = `Its events no longer start ${startsOf(trigger)}, in all processes. Jobs and runs that it has started are kept.${back}`
    if (!(await ask({ title: `Remove ${name}?`, text, action: 'Remove' }))) return
    await perform(() => removeRoute(addressOf(name)), `Trigger "${name}" was removed.`)
    await changed()
  }

  return function actionsOf(trigger: Trigger): RowAction[] {
    const { name, paused, removed, source } = trigger
    const back: RowAction = {
      ...{ name: 'resume', label: 'Bring back', icon: 'retry' },
      act: () => resume(name, `Trigger "${name}" was restored.`),
    }
    const all: RowAction[] = [
      ...(paused
        ? []
        : [{ name: 'fire', label: 'Fire', icon: 'triggers', act: () => fireTrigger(trigger, {}, changed) } as const]),
      paused
        ? { name: 'resume', label: 'Resume', icon: 'play', act: () => resume(name) }
        : { name: 'pause', label: 'Pause', icon: 'pause', act: () => pause(trigger) },
      // Triggers that code declares can only be changed in code.
      ...(source === 'shared'
        ? [{ name: 'save', label: 'Edit', icon: 'edit', act: () => edit(trigger) } as const]
        : []),
      { name: 'remove', label: 'Remove', icon: 'remove', act: () => remove(trigger) },
    ]
    return (removed ? [back] : all).filter((one) => can(`triggers.${one.name}`))
  }
}
