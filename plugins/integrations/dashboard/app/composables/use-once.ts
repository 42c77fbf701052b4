import { readonly, ref, watchEffect, type Ref } from 'vue'

/** Returns whether a condition has ever been true. A component that depends on it stays mounted, so that its closing can be animated. */
export function useOnce(condition: () => boolean): Readonly<Ref<boolean>> {
  const once = ref(false)
  watchEffect(() => {
    if (condition()) once.value = true
  })
  return readonly(once)
}
