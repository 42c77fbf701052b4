import { z } from 'zod'

/** What is known about the strikes of one year. */
const yearStats = z.object({
  strikes: z.number().int(),
  damaging: z.number().int(),
  /** US dollars. */
  cost: z.number(),
  /** Knots; absent where no report gives a speed. */
  medianSpeed: z.number().optional(),
  /** Strikes in January to December. */
  months: z.array(z.number().int()).length(12),
  phases: z.record(z.string(), z.number().int()),
  /** The most frequent identified species. */
  topSpecies: z.string(),
  dearest: z.object({ cost: z.number(), airport: z.string(), species: z.string(), date: z.string() }),
  lastDay: z.string(),
})
export type YearStats = z.infer<typeof yearStats>

/** The state that all steps of the flow share. */
export const state = z.object({
  read: z.object({
    rows: z.number().int(),
    good: z.number().int(),
    /** The number of rejected rows, by reason. */
    bad: z.record(z.string(), z.number().int()),
    withoutSpeed: z.number().int(),
  }),
  years: z.record(z.string(), yearStats).default({}),
  /** File names in the folder of the run. */
  files: z.object({ report: z.string(), chart: z.string() }),
})
export type ReadState = z.infer<typeof state>['read']
