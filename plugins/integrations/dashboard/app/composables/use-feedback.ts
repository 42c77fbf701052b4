import { reactive, readonly, shallowRef } from 'vue'

interface Toast {
  id: number
  text: string
  state: 'ok' | 'failed'
}

/** How long a message stays, in milliseconds. */
const DISPLAY_TIME = 6000
const list = reactive<Toast[]>([])
let next = 1
export const toasts = readonly(list)

export function dismiss(id: number): void {
  const index = list.findIndex((toast) => toast.id === id)
  if (index >= 0) list.splice(index, 1)
}

/** Shows the outcome of an action for a while. */
export function notify(text: string, state: Toast['state'] = 'ok'): void {
  const id = next++
  list.push({ id, text, state })
  setTimeout(() => dismiss(id), DISPLAY_TIME)
}

export interface Question {
  title: string
  /** Describes the action and its target. */
  text: string
  action: string
  danger?: boolean
}

export const question = shallowRef<Question & { resolve: (yes: boolean) => void }>()

/** Asks once before an action that cannot be undone. */
export function ask(asked: Question): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      resolve(yes) {
        question.value = undefined
        resolve(yes)
      },
    }
  })
}

/** Runs an action, and shows a message when it ends or fails. Resolves to whether it succeeded. */
export async function perform(action: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await action()
    notify(done)
    return true
  } catch (error) {
    notify((error as Error).message, 'failed')
    return false
  }
}
