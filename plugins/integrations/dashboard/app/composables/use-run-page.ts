import { computed, type Ref } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { foldTimeline } from '../../../../observability/lib/fold-timeline.ts'
import type { Run } from '../api/types.ts'
import { runAt, upTo } from '../lib/run-at.ts'
import { diffState, stateOf } from '../lib/state-diff.ts'
import { useNow } from './use-now.ts'
import { useRunEvents } from './use-run-events.ts'

export const VIEWS = ['timeline', 'graph', 'events', 'state'] as const
export type View = (typeof VIEWS)[number]

/** The data for the screen of a run: the run at the `seq` in the address, and everything derived from its events. */
export function useRunPage(run: Ref<Run | undefined>) {
  const route = useRoute()
  const router = useRouter()
  const all = useRunEvents(() => String(route.params.runId))
  const now = useNow()

  const head = computed(() => all.events.value.length)
  const seq = computed<number | undefined>(() => {
    const given = Number(route.query.seq)
    return Number.isInteger(given) && given >= 1 && given < head.value ? given : undefined
  })
  const view = computed<View>(() => VIEWS.find((one) => one === route.query.view) ?? 'timeline')
  const selected = computed(() => (typeof route.query.job === 'string' ? route.query.job : undefined))

  function set(changes: { seq?: number | undefined; view?: View; job?: string | undefined }): void {
    const entries = Object.entries({ ...route.query, ...changes }).filter(([, value]) => value !== undefined)
    void router.replace({ query: Object.fromEntries(entries) })
  }

  const events = computed(() => upTo(all.events.value, seq.value))
  const present = computed(() => run.value && runAt(run.value, events.value))
  const timeline = computed(() => present.value && foldTimeline(present.value, events.value))
  const job = computed(() => timeline.value?.jobs.find(({ jobId }) => jobId === selected.value))
  /**
   * The end of the axis: the end of the run or of its shown part, or the current time. While the run only waits, the axis ends near the
   * last event.
   */
  const end = computed(() => {
    const last = events.value.at(-1)?.ts ?? run.value?.startedAt ?? 0
    if (seq.value !== undefined || present.value?.status !== 'running') return present.value?.endedAt ?? last
    const runs = timeline.value?.jobs.some(({ status }) => status === 'running' || status === 'queued')
    const soon = last + 1000 + (last - run.value!.startedAt) / 4
    return Math.max(last, runs ? now.value : Math.min(now.value, soon))
  })
  const state = computed(() => stateOf(events.value))
  /** The changes made by the shown event. */
  const changes = computed(() => diffState(stateOf(events.value.slice(0, -1)), state.value))

  return {
    ...all,
    all: all.events,
    events,
    head,
    seq,
    view,
    selected,
    set,
    present,
    timeline,
    job,
    end,
    state,
    changes,
  }
}
export type RunPage = ReturnType<typeof useRunPage>
