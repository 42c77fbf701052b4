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
  /** It waits no longer for others, but may still wait for its turn. */
  due: boolean
  stop: () => void
}

/** Brings together what comes within a time, and runs so many groups at once; a group that waits for its turn still grows. */
export function createGather<Member>(
  { clock, size, wait, concurrency }: GatherOptions,
  run: (members: readonly [Member, ...Member[]]) => Promise<void>,
) {
  /** The groups that still take members, by key. */
  const forming = new Map<string, Group<Member>>()
  const ready: Group<Member>[] = []
  let running = 0
  let hasty = false

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
    /** Answers what takes the member out again, which it does as long as its group has not run. */
    add(key: string, member: Member): () => boolean {
      const group = groupOf(key)
      group.members.add(member)
      if (group.members.size === size) close(group)
      if (group.members.size === size || hasty) makeDue(group)
      else if (group.members.size === 1) group.stop = clock.setTimeout(() => makeDue(group), wait)
      return () => group.members.delete(member)
    },
    /** Waits for nobody from now on. */
    flush(): void {
      hasty = true
      for (const group of [...forming.values()]) makeDue(group)
    },
  }
}
export type Gather<Member> = ReturnType<typeof createGather<Member>>
