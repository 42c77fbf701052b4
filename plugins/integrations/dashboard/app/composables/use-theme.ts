import { ref, watchEffect } from 'vue'

const KEY = 'nuxt-queue-theme'
export type Theme = 'system' | 'light' | 'dark'

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY)
    return value === 'light' || value === 'dark' ? value : 'system'
  } catch {
    // A frame of another site may have no storage.
    return 'system'
  }
}

const theme = ref<Theme>(stored())

watchEffect(() => {
  if (theme.value === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme.value
  try {
    localStorage.setItem(KEY, theme.value)
  } catch {
    // The choice then lasts until the page closes.
  }
})

export function useTheme() {
  function cycle(): void {
    const order: Theme[] = ['system', 'light', 'dark']
    theme.value = order[(order.indexOf(theme.value) + 1) % order.length]!
  }
  return { theme, cycle }
}
