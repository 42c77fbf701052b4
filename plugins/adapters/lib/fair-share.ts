import { hash } from 'node:crypto'
import type { JobDraft } from '../../../kernel/index.ts'
import { isFairPriority, isWeight } from '../../lib/fair-options.ts'

/** The length of a token. With 132 bits, two keys never share one. */
const TOKEN_LENGTH = 22

/** What a store needs to give a job its turn. */
export interface FairShare {
  /** Stands for the key: letters, digits, `-` and `_`. */
  token: string
  /** How many jobs of the key start in each turn. */
  weight: number
}

/** Returns the share of a job with a `fairKey`. A job whose priority or weight no store can order by has none. */
export function fairShareOf({ options, priority }: Pick<JobDraft, 'options' | 'priority'>): FairShare | undefined {
  const { fairKey, fairWeight: weight = 1 } = options
  if (fairKey === undefined || !isFairPriority(priority) || !isWeight(weight)) return undefined
  return { token: hash('sha256', fairKey, 'base64url').slice(0, TOKEN_LENGTH), weight }
}
