import { computed } from 'vue'
import { useRoute, useRouter } from 'vue-router'

export interface FilterDefinition {
  /** The name of the parameter, in the address and in the request. */
  key: string
  label: string
  /** The possible values. Default: any text. */
  values?: () => readonly string[]
  placeholder?: string
}

export type Filters = Record<string, string>

/** Keeps the filters of a list in the address, so that a link shows the same list. */
export function useFilters(definitions: () => readonly FilterDefinition[], others: readonly string[] = []) {
  const route = useRoute()
  const router = useRouter()

  const filters = computed<Filters>(() => {
    const keys = new Set([...definitions().map(({ key }) => key), ...others])
    const given = Object.entries(route.query).filter(
      (entry): entry is [string, string] =>
        (keys.has(entry[0]) || entry[0].startsWith('data.')) && typeof entry[1] === 'string' && entry[1] !== '',
    )
    return Object.fromEntries(given)
  })

  function set(changes: Record<string, string | undefined>): void {
    const query = Object.fromEntries(
      Object.entries({ ...route.query, ...changes }).filter(([, value]) => value !== undefined && value !== ''),
    )
    void router.replace({ query })
  }

  return { filters, set }
}
