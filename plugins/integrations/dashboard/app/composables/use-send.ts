import { computed, ref, shallowRef, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { get, path, post } from '../api/request.ts'
import { can } from '../api/session.ts'
import type { Job, Worker } from '../api/types.ts'
import { exampleOf, type JsonSchema } from '../lib/schema.ts'
import { notify } from './use-feedback.ts'
import { useResource } from './use-resource.ts'
import { useSubmit } from './use-submit.ts'

type Details = Worker & { input?: JsonSchema }

/** The form that sends a job to a worker, or starts the flow whose entry is the worker. */
export function useSend() {
  const route = useRoute()
  const router = useRouter()
  const all = useResource<{ workers: Worker[] }>(() => ({ route: 'workers' }), false)
  const targets = computed(() =>
    (all.data.value?.workers ?? []).filter(
      ({ flows }) => flows.length === 0 || flows.some(({ role }) => role === 'entry'),
    ),
  )
  const id = computed(() => (typeof route.query.worker === 'string' ? route.query.worker : undefined))
  const worker = shallowRef<Details>()
  const data = ref<unknown>()
  const options = ref({ id: '', delay: '' })
  const { message, busy, submit } = useSubmit()
  const flow = computed(() => worker.value?.flows.find(({ role }) => role === 'entry'))
  const allowed = computed(() => can(flow.value ? 'flows.start' : 'jobs.enqueue'))

  /** Begins with the data of a job, if the address names one. */
  async function prefill(): Promise<void> {
    const { queue, job } = route.query
    worker.value = undefined
    message.value = ''
    if (id.value === undefined) return
    try {
      worker.value = await get<Details>(path('workers', id.value))
      const given =
        typeof queue === 'string' && typeof job === 'string'
          ? (await get<Job>(path('jobs', queue, job))).data
          : undefined
      data.value = given ?? (worker.value.input ? exampleOf(worker.value.input) : {})
    } catch (error) {
      message.value = (error as Error).message
    }
  }
  watch(
    () => JSON.stringify(route.query),
    () => void prefill(),
    { immediate: true },
  )

  async function send(): Promise<void> {
    const { id: chosen, delay } = options.value
    const named = chosen.trim() === '' ? {} : { id: chosen.trim() }
    if (flow.value) {
      const { runId } = await post<{ runId: string }>(path('flows', flow.value.flow), {
        input: data.value,
        entry: flow.value.step,
        ...named,
      })
      notify(`A run of "${flow.value.flow}" has started.`)
      await router.push({ name: 'run', params: { runId } })
      return
    }
    const later = delay.trim() === '' ? {} : { delay: Number(delay) * 1000 }
    const job = await post<{ queue: string; id: string }>('jobs', {
      worker: worker.value!.id,
      data: data.value,
      options: { ...named, ...later },
    })
    notify('The job was enqueued.')
    await router.push({ name: 'job', params: { queue: job.queue, job: job.id } })
  }

  return {
    targets,
    loading: all.loading,
    id,
    worker,
    data,
    options,
    message,
    busy,
    flow,
    allowed,
    send: () => submit(send),
    choose: (to: string) => void router.replace({ query: { worker: to } }),
  }
}
