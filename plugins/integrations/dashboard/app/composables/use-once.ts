import { readonly, ref, watchEffect, type Ref } from 'vue'

/** Returns whether a condition has ever been true. What it shows stays mounted, so that it can close in its own way. */
export function useOnce(condition: () => boolean): Readonly<Ref<boolean>> {
  const once = ref(false)
  watchEffect(() => {
    if (condition()) once.value = true
  })
  return readonly(once)
}
