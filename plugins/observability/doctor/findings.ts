import type { Diagnosis } from '../../../kernel/index.ts'

/** How many ids a finding names. */
const NAMED = 3

interface Subject {
  check: string
  /** What is wrong, as a sentence. */
  what: string
  hint: string
}

/** Collects findings about many jobs and runs. Those with the same cause become one finding. */
export function createFindings() {
  const groups = new Map<string, Subject & { noun: 'Jobs' | 'Runs'; ids: string[]; count: number }>()
  const limits: Diagnosis[] = []
  return {
    add(subject: Subject, noun: 'Jobs' | 'Runs', id: string): void {
      const key = `${subject.check} ${subject.what}`
      const group = groups.get(key) ?? { ...subject, noun, ids: [], count: 0 }
      groups.set(key, group)
      group.count++
      if (group.ids.length < NAMED) group.ids.push(id)
    },
    /** Reports that not everything was checked. */
    limited(check: string, message: string): void {
      limits.push({ check, level: 'warning', message, hint: 'Older jobs and runs may need more.' })
    },
    list(): Diagnosis[] {
      const found = [...groups.values()].map(({ check, what, hint, noun, ids, count }): Diagnosis => {
        const more = count > ids.length ? ', …' : ''
        const message = `${what} ${noun}: ${count} (${ids.join(', ')}${more}).`
        return { check, level: 'problem', message, hint }
      })
      return [...found, ...limits]
    },
  }
}
export type Findings = ReturnType<typeof createFindings>
