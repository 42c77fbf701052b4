import { computed, ref, shallowRef, watch } from 'vue'
import { get, type Query } from '../api/request.ts'
import { useResource } from './use-resource.ts'

type Page<T> = Record<string, T[]> & { next?: string | number; truncated?: boolean }

/** How many pages in a row are loaded while the server says that it has examined only a part. */
const MAX_PARTS = 10

/**
 * Loads a list page by page. Events load the first page again; the pages after it stay. While the server has examined only a part of what
 * the page could show, the next parts are loaded too.
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
    /** Returns the cursor of the next page, for a route whose responses do not contain it. */
    nextOf?: (items: readonly T[]) => number | undefined
  },
) {
  const afterPage = (page: Page<T> | undefined): string | number | undefined =>
    nextOf && page ? nextOf(page[name] ?? []) : page?.next

  const more = shallowRef<T[]>([])
  /** The cursor of the next page after `more` has been loaded. */
  const rest = shallowRef<{ next?: string | number; truncated: boolean }>()
  const busy = ref(false)
  /** Changes with the query and with each load, so that a late response changes nothing. */
  let loads = 0
  const first = useResource<Page<T>>(() => ({ route, query: query() }))

  watch(
    () => JSON.stringify(query()),
    () => {
      more.value = []
      rest.value = undefined
      loads++
      busy.value = false
    },
  )

  const items = computed<T[]>(() => {
    const start = first.data.value?.[name] ?? []
    const known = new Set(start.map(idOf))
    return [...start, ...more.value.filter((item) => !known.has(idOf(item)))]
  })
  const nextPage = (): string | number | undefined => (rest.value ?? { next: afterPage(first.data.value) }).next
  const hasMore = computed(() => nextPage() !== undefined)

  async function loadMore(): Promise<void> {
    if (busy.value) return
    busy.value = true
    const load = ++loads
    try {
      for (let part = 0; part < MAX_PARTS; part++) {
        const from = nextPage()
        if (from === undefined) return
        const page = await get<Page<T>>(route, { ...query(), [cursor()]: from })
        if (load !== loads) return
        more.value = [...more.value, ...(page[name] ?? [])]
        rest.value = { next: afterPage(page), truncated: page.truncated === true }
        if (!rest.value.truncated) return
      }
    } finally {
      if (load === loads) busy.value = false
    }
  }
  watch(first.data, (page) => {
    if (page?.truncated === true && rest.value === undefined) void loadMore()
  })

  /** Whether older items that were not examined may match as well. */
  const truncated = computed(() => rest.value?.truncated ?? first.data.value?.truncated === true)

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
