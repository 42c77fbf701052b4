import { onScopeDispose, ref, shallowRef, watch } from 'vue'
import { follow, watchLive, type LiveMessage } from '../api/live.ts'
import { get, path, type ApiError } from '../api/request.ts'
import type { RunEvent } from '../api/types.ts'

/** How many events a request loads. */
const PAGE = 5000

/**
 * Loads the events of a run, then follows it with the stream of the page. Events are in order and without gaps: the stream begins
 * after the last loaded one.
 */
export function useRunEvents(runId: () => string) {
  const events = shallowRef<RunEvent[]>([])
  const error = shallowRef<ApiError>()
  const loaded = ref(false)
  /** The newest progress of each job, between 0 and 1. It is not stored. */
  const progress = shallowRef(new Map<string, { value: number; message?: string }>())
  let generation = 0

  async function load(): Promise<void> {
    const own = ++generation
    const id = runId()
    events.value = []
    loaded.value = false
    error.value = undefined
    if (id === '') return
    try {
      for (let more = true; more;) {
        const after = events.value.at(-1)?.seq ?? 0
        const page = await get<{ events: RunEvent[] }>(`${path('runs', id)}/events`, { after, limit: PAGE })
        if (own !== generation) return
        append(page.events)
        more = page.events.length === PAGE
      }
      follow(id, events.value.at(-1)?.seq ?? 0)
    } catch (problem) {
      if (own === generation) error.value = problem as ApiError
    }
    loaded.value = true
  }

  function append(added: readonly RunEvent[]): void {
    const id = runId()
    let last = events.value.at(-1)?.seq ?? 0
    const next = added.filter((event) => event.runId === id && event.seq === last + 1 && ++last > 0)
    if (next.length > 0) events.value = [...events.value, ...next]
  }

  function onMessage({ type, data }: LiveMessage): void {
    if (type !== 'progress') return
    const { stepId, jobId, value, message } = data as {
      stepId?: string
      jobId?: string
      value: number
      message?: string
    }
    const id = stepId ?? jobId
    if (id !== undefined) progress.value = new Map(progress.value).set(id, { value, message })
  }

  watch(runId, () => void load(), { immediate: true })
  const stop = watchLive({ events: (added) => loaded.value && append(added), message: onMessage })
  onScopeDispose(() => {
    generation++
    stop()
    follow()
  })
  return { events, error, loaded, progress, reload: load }
}
