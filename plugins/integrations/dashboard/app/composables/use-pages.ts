import { computed, ref, shallowRef, watch } from 'vue'
import { get, type Query } from '../api/request.ts'
import { useResource } from './use-resource.ts'

type Page<T> = Record<string, T[]> & { next?: string | number; truncated?: boolean }

/**
 * Loads a list page by page. Events load the first page again; the pages after it stay.
 *
 * @param name the member of the response that holds the list
 * @param cursor the parameter for the next page
 */
export function usePages<T>(
  route: string,
  name: string,
  {
    query,
    idOf,
    cursor = () => 'after',
    nextOf,
  }: {
    query: () => Query
    idOf: (item: T) => string
    cursor?: () => string
    /** Where the page after some items begins, for a route whose responses do not say it. */
    nextOf?: (items: readonly T[]) => number | undefined
  },
) {
  const afterPage = (page: Page<T> | undefined): string | number | undefined =>
    nextOf && page ? nextOf(page[name] ?? []) : page?.next

  const more = shallowRef<T[]>([])
  const next = ref<string | number>()
  const busy = ref(false)
  const first = useResource<Page<T>>(() => ({ route, query: query() }))

  watch(
    () => JSON.stringify(query()),
    () => {
      more.value = []
      next.value = undefined
    },
  )

  const items = computed<T[]>(() => {
    const start = first.data.value?.[name] ?? []
    const known = new Set(start.map(idOf))
    return [...start, ...more.value.filter((item) => !known.has(idOf(item)))]
  })
  const hasMore = computed(
    () =>
      (next.value ?? afterPage(first.data.value)) !== undefined && !(more.value.length > 0 && next.value === undefined),
  )

  async function loadMore(): Promise<void> {
    const from = more.value.length > 0 ? next.value : afterPage(first.data.value)
    if (from === undefined || busy.value) return
    busy.value = true
    try {
      const page = await get<Page<T>>(route, { ...query(), [cursor()]: from })
      more.value = [...more.value, ...(page[name] ?? [])]
      next.value = afterPage(page)
    } finally {
      busy.value = false
    }
  }

  const truncated = computed(() => first.data.value?.truncated === true)

  return {
    items,
    truncated,
    hasMore,
    loadMore,
    busy,
    loading: first.loading,
    error: first.error,
    refresh: first.refresh,
  }
}
