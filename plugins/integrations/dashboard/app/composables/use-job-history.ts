import { computed, type Ref } from 'vue'
import { foldTimeline } from '../../../../observability/lib/fold-timeline.ts'
import type { Job, Run } from '../api/types.ts'
import { useRunEvents } from './use-run-events.ts'

/** Returns the events of a job from its run, and its entry in the timeline. */
export function useJobHistory(job: Ref<Job | undefined>) {
  const all = useRunEvents(() => job.value?.runId ?? '')
  const events = computed(() => all.events.value.filter(({ stepId }) => stepId === job.value?.id))
  const timeline = computed(() => {
    if (!job.value || events.value.length === 0) return undefined
    const { runId, name, createdAt } = job.value
    const run: Run = { runId, name, status: 'running', startedAt: createdAt, updatedAt: createdAt, head: 0 }
    return foldTimeline(run, events.value).jobs[0]
  })
  return { events, timeline, reload: all.reload }
}
