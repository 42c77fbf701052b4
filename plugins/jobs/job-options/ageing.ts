import type { JobDraft } from '../../../kernel/index.ts'

/** 2026-01-01, so that numbers stay small. */
const ORIGIN = 1_767_225_600_000
/** Milliseconds that are one unit of the priority a job is stored with: twenty years are a million. */
const UNIT = 1_000_000

/**
 * The priority of a job that gains one every `ageing` milliseconds it waits. All age alike, so what counts
 * is who came when: one more urgent is as if it had come earlier. In the same unit whatever the `ageing`,
 * and small enough for every adapter to tell milliseconds apart.
 */
export function aged({ priority, createdAt, runAt }: JobDraft, ageing: number): number {
  return (priority * ageing - (Math.max(createdAt, runAt) - ORIGIN)) / UNIT
}
