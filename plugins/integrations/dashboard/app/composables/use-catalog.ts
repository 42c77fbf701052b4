import { computed } from 'vue'
import { can } from '../api/session.ts'
import type { Flow, Instance, Queue, Worker } from '../api/types.ts'
import { useResource } from './use-resource.ts'

export const useQueues = () =>
  useResource<{ queues: Queue[] }>(() => (can('queues.read') ? { route: 'queues' } : undefined))
export const useInstances = () =>
  useResource<{ instances: Instance[] }>(() => (can('instances.read') ? { route: 'instances' } : undefined))

/** Names that filters offer. */
export function useCatalog() {
  const queues = useQueues()
  const workers = useResource<{ workers: Worker[] }>(
    () => (can('workers.read') ? { route: 'workers' } : undefined),
    false,
  )
  const flows = useResource<{ flows: Flow[] }>(() => (can('flows.read') ? { route: 'flows' } : undefined), false)
  return {
    queues,
    queueNames: computed(() => (queues.data.value?.queues ?? []).map(({ name }) => name)),
    workerNames: computed(() => [...new Set((workers.data.value?.workers ?? []).map(({ name }) => name))]),
    flowNames: computed(() => (flows.data.value?.flows ?? []).map(({ name }) => name)),
  }
}
