import { reactive, readonly } from 'vue'
import { get, onUnauthorized, post, remove } from './request.ts'

/** The actions that the pages may take, and the routes that the server has. */
interface Session {
  status: 'loading' | 'open' | 'signed-out' | 'closed' | 'unreachable'
  /** Whether the server takes tokens. */
  signIn: boolean
  actions: Set<string>
  /** The routes of the server, as `GET /queues/{queue}`. */
  routes: Set<string>
  /** The parameters of the queries, as `GET /jobs?tag`. */
  parameters: Set<string>
  message: string
}

const state = reactive<Session>({
  status: 'loading',
  signIn: false,
  actions: new Set(),
  routes: new Set(),
  parameters: new Set(),
  message: '',
})
export const session = readonly(state)

interface Operation {
  parameters?: readonly { name: string; in: string }[]
}

interface Document {
  paths: Record<string, Record<string, Operation>>
}

export const can = (action: string): boolean => state.actions.has(action)
export const hasRoute = (route: string): boolean => state.routes.has(route)
export const hasParameter = (route: string, name: string): boolean => state.parameters.has(`${route}?${name}`)

async function loadRoutes(): Promise<void> {
  const { paths } = await get<Document>('openapi.json')
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { parameters = [] }] of Object.entries(methods)) {
      const route = `${method.toUpperCase()} ${path}`
      state.routes.add(route)
      for (const { name, in: where } of parameters) if (where === 'query') state.parameters.add(`${route}?${name}`)
    }
  }
}

/** Loads from the server what this browser may do. */
export async function loadSession(): Promise<void> {
  // In parallel, because the page is empty until both have loaded.
  const routes = state.routes.size === 0 ? loadRoutes().catch(() => {}) : undefined
  try {
    const { signIn, actions } = await get<{ signIn: boolean; actions: string[] }>('session')
    state.signIn = signIn
    state.actions = new Set(actions)
    const nothing = !actions.some((action) => action !== 'health.read' && action !== 'openapi.read')
    if (nothing) {
      state.status = signIn ? 'signed-out' : 'closed'
      return
    }
    await routes
    state.status = 'open'
  } catch (error) {
    state.message = (error as Error).message
    state.status = 'unreachable'
  }
}

/** @throws ApiError for an unknown token */
export async function signIn(token: string): Promise<void> {
  await post('session', { token })
  await loadSession()
}

export async function signOut(): Promise<void> {
  await remove('session')
  state.actions = new Set()
  state.status = 'signed-out'
}

onUnauthorized(() => {
  if (state.status === 'open') state.status = state.signIn ? 'signed-out' : 'closed'
})
