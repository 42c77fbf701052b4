import { computed, ref, shallowRef } from 'vue'
import type { Job } from '../api/types.ts'

/** Returns the key of a job in a list. */
export const keyOf = ({ queue, id }: Job): string => `${queue} ${id}`

/** The selected jobs of a list: individual jobs, or all jobs that match its filter. */
export function useJobSelection() {
  const chosen = shallowRef(new Map<string, Job>())
  const all = ref(false)

  function change(apply: (next: Map<string, Job>) => void): void {
    const next = new Map(chosen.value)
    apply(next)
    chosen.value = next
    all.value = false
  }

  return {
    jobs: computed(() => [...chosen.value.values()]),
    /** Whether all jobs that match are selected, including jobs on other pages. */
    all,
    has: (job: Job): boolean => all.value || chosen.value.has(keyOf(job)),
    toggle: (job: Job): void => change((next) => void (next.delete(keyOf(job)) || next.set(keyOf(job), job))),
    setAll: (jobs: readonly Job[], to: boolean): void =>
      change((next) => {
        for (const job of jobs) {
          if (to) next.set(keyOf(job), job)
          else next.delete(keyOf(job))
        }
      }),
    clear: (): void => change((next) => next.clear()),
  }
}
export type JobSelection = ReturnType<typeof useJobSelection>
