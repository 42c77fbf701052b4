import type { Clock } from '../../../kernel/index.ts'

export interface GatherOptions {
  clock: Clock
  size: number
  wait: number
  /** How many groups run at once. */
  concurrency: number
}

interface Group<Member> {
  key: string
  members: Set<Member>
  /** True if the group no longer waits for members. It may still wait until another group has finished. */
  due: boolean
  stop: () => void
}

/** Groups members that arrive within a period, and runs a limited number of groups at once. A group grows until it runs. */
export function createGather<Member>(
  { clock, size, wait, concurrency }: GatherOptions,
  run: (members: readonly [Member, ...Member[]]) => Promise<void>,
) {
  /** The groups that still accept members, by key. */
  const forming = new Map<string, Group<Member>>()
  const ready: Group<Member>[] = []
  let running = 0
  let flushing = false

  function groupOf(key: string): Group<Member> {
    const there = forming.get(key)
    if (there) return there
    const group: Group<Member> = { key, members: new Set(), due: false, stop: () => {} }
    forming.set(key, group)
    return group
  }

  function close(group: Group<Member>): void {
    if (forming.get(group.key) === group) forming.delete(group.key)
  }

  function makeDue(group: Group<Member>): void {
    group.stop()
    if (!group.due) ready.push(group)
    group.due = true
    pump()
  }

  function pump(): void {
    while (running < concurrency && ready.length > 0) {
      const group = ready.shift()!
      close(group)
      const [first, ...others] = group.members
      group.members.clear()
      if (first === undefined) continue
      running++
      void run([first, ...others]).finally(() => {
        running--
        pump()
      })
    }
  }

  return {
    /** Adds a member. Returns a function that removes the member, and returns false if its group has already run. */
    add(key: string, member: Member): () => boolean {
      const group = groupOf(key)
      group.members.add(member)
      if (group.members.size === size) close(group)
      if (group.members.size === size || flushing) makeDue(group)
      else if (group.members.size === 1) group.stop = clock.setTimeout(() => makeDue(group), wait)
      return () => group.members.delete(member)
    },
    /** Runs all groups now. Later groups do not wait for members. */
    flush(): void {
      flushing = true
      for (const group of [...forming.values()]) makeDue(group)
    },
  }
}
export type Gather<Member> = ReturnType<typeof createGather<Member>>
