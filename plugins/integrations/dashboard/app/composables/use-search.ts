import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import type { RouteLocationRaw } from 'vue-router'
import { get, path } from '../api/request.ts'
import { can } from '../api/session.ts'
import type { Flow, Job, Queue, Run } from '../api/types.ts'
import type { IconName } from '../lib/icons.ts'
import { mayOpen, SCREENS } from '../router.ts'

export interface Found {
  id: string
  icon: IconName
  label: string
  hint: string
  to: RouteLocationRaw
}

/** How long typing pauses before the server is asked, in milliseconds. */
const PAUSE = 150

function screens(text: string): Found[] {
  const allowed = SCREENS.filter((screen) => mayOpen(screen) && screen.title.toLowerCase().includes(text))
  return allowed.map(({ name, title, icon }) => ({ id: name, icon, label: title, hint: 'Screen', to: { name } }))
}

async function named(text: string): Promise<Found[]> {
  const none = { queues: [] as Queue[], flows: [] as Flow[] }
  const [{ queues }, { flows }] = await Promise.all([
    can('queues.read') ? get<{ queues: Queue[] }>('queues') : none,
    can('flows.read') ? get<{ flows: Flow[] }>('flows') : none,
  ])
  const matches = ({ name }: { name: string }): boolean => name.toLowerCase().includes(text)
  return [
    ...queues.filter(matches).map(({ name }): Found => ({
      id: `queue ${name}`,
      icon: 'queues',
      label: name,
      hint: 'Queue',
      to: { name: 'queue', params: { queue: name } },
    })),
    ...flows.filter(matches).map(({ name }): Found => ({
      id: `flow ${name}`,
      icon: 'runs',
      label: name,
      hint: 'Runs of this flow',
      to: { name: 'runs', query: { flow: name } },
    })),
  ]
}

/** Finds a run or a job by its id. Every queue is searched for a job, because its id is unique only in its queue. */
async function byId(id: string): Promise<Found[]> {
  const run = get<Run>(path('runs', id)).then(
    ({ name, status }): Found[] => [
      {
        id: `run ${id}`,
        icon: 'runs',
        label: id,
        hint: `Run of ${name}, ${status}`,
        to: { name: 'run', params: { runId: id } },
      },
    ],
    () => [],
  )
  const { queues } = await get<{ queues: Queue[] }>('queues')
  const jobs = queues.map(({ name }) =>
    get<Job>(path('jobs', name, id)).then(
      ({ state }): Found[] => [
        {
          id: `job ${name} ${id}`,
          icon: 'jobs',
          label: id,
          hint: `Job in ${name}, ${state}`,
          to: { name: 'job', params: { queue: name, job: id } },
        },
      ],
      () => [],
    ),
  )
  return (await Promise.all([run, ...jobs])).flat()
}

/** Finds screens, queues and flows by a part of their name, and runs and jobs by their id. */
export function useSearch(text: Ref<string>) {
  const found = shallowRef<Found[]>([])
  const searching = ref(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  let latest = 0

  async function search(given: string, own: number): Promise<void> {
    const words = given.toLowerCase()
    const parts = await Promise.all([
      named(words).catch(() => []),
      given.length >= 3 ? byId(given).catch(() => []) : [],
    ])
    if (own !== latest) return
    found.value = [...parts[1], ...screens(words), ...parts[0]]
    searching.value = false
  }

  watch(
    text,
    (value) => {
      const given = value.trim()
      const own = ++latest
      clearTimeout(timer)
      searching.value = given !== ''
      found.value = screens(given.toLowerCase())
      timer = setTimeout(() => void search(given, own), PAUSE)
    },
    { immediate: true },
  )
  onScopeDispose(() => clearTimeout(timer))
  return { found, searching }
}
