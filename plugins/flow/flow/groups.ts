import type { FlowStep } from './graph.ts'
import { causeOf, type Branch, type Group, type Instance } from './run.ts'

/** Returns the branch that an emit opens in the group of its job. */
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

/** Stores a payload that a job of a group emits for a step that gathers the group. */
export function gather(from: Instance, step: FlowStep, event: string, payload: unknown): void {
  const group = from.lineage.findLast((branch) => branch.group.event === step.gather)?.group
  if (!group) return
  const byEvent = group.gathered.get(step.step) ?? new Map<string, unknown[]>()
  group.gathered.set(step.step, byEvent)
  const payloads = byEvent.get(event)
  if (payloads) payloads.push(payload)
  else byEvent.set(event, [payload])
}

/** Closes a group, and creates it first if nothing was emitted to it. */
export function closeGroup(parent: Instance, event: string): Group {
  const group = groupOf(parent, event)
  group.closed = true
  return group
}

/** Closes all groups of a job. A job that has ended does not fan out any more. */
export function closeGroups({ groups }: Instance): Group[] {
  const all = [...(groups?.values() ?? [])]
  for (const group of all) group.closed = true
  return all
}

/** Returns the groups of an ended job, innermost first, because the step that gathers an inner group belongs to the outer one. */
export function leaveGroups({ lineage }: Instance): Group[] {
  for (const { group } of lineage) group.open--
  return lineage.map(({ group }) => group).toReversed()
}
