import { readonly, ref } from 'vue'

const now = ref(Date.now())
setInterval(() => {
  if (!document.hidden) now.value = Date.now()
}, 1000)

/** The current time, to the second. */
export const useNow = () => readonly(now)
