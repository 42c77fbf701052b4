import { path, post, remove as removeRoute } from '../api/request.ts'
import { can } from '../api/session.ts'
import type { RowAction } from '../lib/row-action.ts'
import { startsOf, type Trigger } from '../lib/schedules.ts'
import { ask, perform } from './use-feedback.ts'
import { openForm } from './use-json-form.ts'

/** Opens the form that fires a trigger by hand, as an event with this payload would. */
export function fireTrigger(
  trigger: Trigger,
  { payload, key }: { payload?: unknown; key?: string },
  changed: () => Promise<void>,
): void {
  openForm({
    title: `Fire ${trigger.name}`,
    text: `It starts ${startsOf(trigger)}, as an event with this payload would.`,
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

/** What can be done with triggers. Each action shows its outcome, and asks before it takes something away. */
export function useTriggerActions(changed: () => Promise<void>, edit: (trigger: Trigger) => void) {
  const addressOf = (name: string): string => path('triggers', name)

  async function pause(trigger: Trigger): Promise<void> {
    const { name, type } = trigger
    const senders = type === 'webhook' ? ' Senders receive 503, so that they may try again.' : ''
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
    const back = source === 'code' ? ' Code declares it, so you can bring it back.' : ' This cannot be undone.'
    const text = `Its events start ${startsOf(trigger)} no longer, in all processes. What it has started stays.${back}`
    if (!(await ask({ title: `Remove ${name}?`, text, action: 'Remove' }))) return
    await perform(() => removeRoute(addressOf(name)), `Trigger "${name}" was removed.`)
    await changed()
  }

  return function actionsOf(trigger: Trigger): RowAction[] {
    const { name, paused, removed, source } = trigger
    const back: RowAction = {
      ...{ name: 'resume', label: 'Bring back', icon: 'retry' },
      act: () => resume(name, `Trigger "${name}" is back.`),
    }
    const all: RowAction[] = [
      ...(paused
        ? []
        : [{ name: 'fire', label: 'Fire', icon: 'triggers', act: () => fireTrigger(trigger, {}, changed) } as const]),
      paused
        ? { name: 'resume', label: 'Resume', icon: 'play', act: () => resume(name) }
        : { name: 'pause', label: 'Pause', icon: 'pause', act: () => pause(trigger) },
      // What code declares is changed there.
      ...(source === 'shared'
        ? [{ name: 'save', label: 'Edit', icon: 'edit', act: () => edit(trigger) } as const]
        : []),
      { name: 'remove', label: 'Remove', icon: 'remove', act: () => remove(trigger) },
    ]
    return (removed ? [back] : all).filter((one) => can(`triggers.${one.name}`))
  }
}
