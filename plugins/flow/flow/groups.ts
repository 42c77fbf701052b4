import type { FlowStep } from './graph.ts'
import { causeOf, type Branch, type Group, type Instance } from './run.ts'

/** The branch that an emit opens in what its job fans out. */
export function branchOf(parent: Instance, event: string, cause: string): Branch {
  return { group: groupOf(parent, event), cause }
}

function groupOf(parent: Instance, event: string): Group {
  const groups = (parent.groups ??= new Map<string, Group>())
  const there = groups.get(event)
  if (there) return there
  const cause = causeOf(parent, `group ${event}`)
  const group: Group = { event, cause, parent, open: 0, closed: false, gathered: new Map() }
  groups.set(event, group)
  return group
}

/** Keeps what a job of a group emits for a step that gathers it. */
export function gather(from: Instance, step: FlowStep, event: string, payload: unknown): void {
  const group = from.lineage.findLast((branch) => branch.group.event === step.gather)?.group
  if (!group) return
  const byEvent = group.gathered.get(step.step) ?? new Map<string, unknown[]>()
  group.gathered.set(step.step, byEvent)
  const payloads = byEvent.get(event)
  if (payloads) payloads.push(payload)
  else byEvent.set(event, [payload])
}

/** Also of a group that nothing was emitted to. */
export function closeGroup(parent: Instance, event: string): Group {
  const group = groupOf(parent, event)
  group.closed = true
  return group
}

/** A job that has ended fans out no more, whatever it ended with. */
export function closeGroups({ groups }: Instance): Group[] {
  const all = [...(groups?.values() ?? [])]
  for (const group of all) group.closed = true
  return all
}

/** Innermost first: what gathers an inner group belongs to the outer one. */
export function leaveGroups({ lineage }: Instance): Group[] {
  for (const { group } of lineage) group.open--
  return lineage.map(({ group }) => group).toReversed()
}
