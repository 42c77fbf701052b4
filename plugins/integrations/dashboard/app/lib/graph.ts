import dagre from '@dagrejs/dagre'
import type { TimelineJob } from '../../../../observability/lib/timeline.ts'
import type { Flow } from '../api/types.ts'

export interface GraphNode {
  step: string
  role: string
  status: string
  /** How many jobs of the step there are, and how many have ended. */
  jobs: number
  ended: number
  x: number
  y: number
}

export interface GraphEdge {
  id: string
  event: string
  /** How often the event was emitted. */
  count: number
  path: string
  x: number
  y: number
}

export interface Graph {
  nodes: GraphNode[]
  edges: GraphEdge[]
  width: number
  height: number
}

export const NODE = { width: 176, height: 52 } as const
const ORDER = ['failed', 'running', 'waiting', 'queued', 'cancelled', 'completed']

const listOf = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []

interface Link {
  from: string
  to: string
  event: string
}

/** Returns which step emits what for which step. A compensation follows the step that it undoes. */
function linksOf(steps: Flow['steps']): Link[] {
  return steps.flatMap((target) => {
    const undone = (target as { compensates?: unknown }).compensates
    const undoes = listOf(undone).map((from): Link => ({ from, to: target.step, event: 'undo' }))
    const events = listOf(target.subscribes)
    const links = steps.flatMap((source) =>
      listOf(source.emits)
        .filter((event) => events.includes(event))
        .map((event): Link => ({ from: source.step, to: target.step, event })),
    )
    return [...undoes, ...links]
  })
}

/** Lays out the steps of a flow from left to right, with the states of their jobs in a run. */
export function layoutGraph(steps: Flow['steps'], jobs: readonly TimelineJob[]): Graph {
  const graph = new dagre.graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'LR', nodesep: 24, ranksep: 64, marginx: 16, marginy: 16 })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const { step } of steps) graph.setNode(step, { ...NODE })
  const links = linksOf(steps).filter(({ from, to }) => graph.hasNode(from) && graph.hasNode(to))
  for (const { from, to, event } of links) graph.setEdge(from, to, {}, event)
  dagre.layout(graph)

  const byStep = Map.groupBy(jobs, ({ step }) => step)
  const nodes = steps.map(({ step, role }): GraphNode => {
    const own = byStep.get(step) ?? []
    const { x, y } = graph.node(step) as { x: number; y: number }
    const status = ORDER.find((one) => own.some((job) => job.status === one)) ?? 'none'
    return {
      step,
      role,
      status,
      jobs: own.length,
      ended: own.filter(({ endedAt }) => endedAt !== undefined).length,
      x,
      y,
    }
  })
  const edges = links.map(({ from, to, event }): GraphEdge => {
    const { points } = graph.edge(from, to, event) as { points: { x: number; y: number }[] }
    const emitted = (byStep.get(from) ?? []).flatMap(({ emits }) => emits).filter((one) => one.event === event)
    const middle = points[Math.floor(points.length / 2)]!
    return { id: `${from} ${event} ${to}`, event, count: emitted.length, path: curve(points), x: middle.x, y: middle.y }
  })
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number }
  return { nodes, edges, width, height }
}

/** Returns a smooth path through points. */
function curve(points: readonly { x: number; y: number }[]): string {
  const [first, ...others] = points
  const parts = others.map(({ x, y }, index) => {
    const before = points[index]!
    const middle = (before.x + x) / 2
    return `C ${middle} ${before.y}, ${middle} ${y}, ${x} ${y}`
  })
  return `M ${first!.x} ${first!.y} ${parts.join(' ')}`
}

/** Returns the steps that a run shows, for a flow that the server does not know. */
export function stepsOfJobs(jobs: readonly TimelineJob[]): Flow['steps'] {
  const names = [...new Set(jobs.map(({ step }) => step))]
  return names.map((step) => ({ step, worker: step, queue: '', role: 'step' as const }))
}
