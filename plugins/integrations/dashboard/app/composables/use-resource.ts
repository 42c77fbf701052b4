import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { watchLive } from '../api/live.ts'
import { get, type ApiError, type Query } from '../api/request.ts'

/** The shortest time between two requests for the same data, in milliseconds. */
const MIN_INTERVAL = 1000
/** How often data is reloaded without an event, in milliseconds, because some changes, such as pauses, cause no event. */
const IDLE = 10_000

export interface ResourceAddress {
  route: string
  query?: Query
}

export interface Resource<T> {
  data: ShallowRef<T | undefined>
  error: ShallowRef<ApiError | undefined>
  /** Whether the first response for this address has not arrived. */
  loading: Ref<boolean>
  refresh(): Promise<void>
}

/**
 * Loads data, and reloads it after events. The old data stays until the new data has arrived, so the layout does not jump. A slow server
 * receives fewer requests.
 *
 * @param address what to load; `undefined` loads nothing
 * @param live whether events make the data stale. Default true
 * @param changing whether data changes without events, so that it is loaded every second
 */
export function useResource<T>(
  address: () => ResourceAddress | undefined,
  live = true,
  changing: (data: T) => boolean = () => false,
): Resource<T> {
  const data = shallowRef<T>()
  const error = shallowRef<ApiError>()
  const loading = ref(true)
  let controller: AbortController | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let took = 0
  let loadedAt = 0

  async function refresh(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const now = address()
    controller?.abort()
    if (!now) return
    const own = (controller = new AbortController())
    const began = Date.now()
    try {
      data.value = await get<T>(now.route, now.query, own.signal)
      error.value = undefined
    } catch (problem) {
      if (own.signal.aborted) return
      error.value = problem as ApiError
    }
    loadedAt = Date.now()
    took = loadedAt - began
    loading.value = false
    const soon = data.value !== undefined && changing(data.value)
    if (live) later(soon ? Math.max(MIN_INTERVAL, took * 5) : IDLE)
  }

  function later(ms: number): void {
    clearTimeout(timer)
    timer = setTimeout(() => (document.hidden ? later(IDLE) : void refresh()), ms)
  }

  /** Reloads soon, but never more often than the server can handle. */
  function markStale(): void {
    const gap = Math.max(MIN_INTERVAL, took * 5)
    const due = loadedAt + gap - Date.now()
    if (loadedAt > 0 && !loading.value) later(Math.max(50, due))
  }

  watch(
    () => JSON.stringify(address()),
    () => {
      loading.value = true
      void refresh()
    },
    { immediate: true },
  )
  const stop = live ? watchLive({ events: markStale, reset: markStale }) : () => {}
  onScopeDispose(() => {
    stop()
    clearTimeout(timer)
    controller?.abort()
  })
  return { data, error, loading, refresh }
}
