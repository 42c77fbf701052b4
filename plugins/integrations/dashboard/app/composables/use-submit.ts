import { ref } from 'vue'

/** Runs the action of a form. Holds whether the action is running, and its error. */
export function useSubmit() {
  const message = ref('')
  const busy = ref(false)

  async function submit(act: () => Promise<unknown>): Promise<void> {
    busy.value = true
    message.value = ''
    try {
      await act()
    } catch (error) {
      message.value = (error as Error).message
    } finally {
      busy.value = false
    }
  }

  return { message, busy, submit }
}
