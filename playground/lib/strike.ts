import { z } from 'zod'

/** The first day of the database. */
const FIRST_DAY = '1990-01-01'
/** The highest plausible speed of an aircraft on the ground, in knots. */
const FASTEST_ROLL = 250
const FASTEST_TAXI = 60

const PHASES = ['Approach', 'Climb', 'Descent', 'Landing Roll', 'Parked', 'Take-off run', 'Taxi'] as const
const IN_MOTION = new Set<string>(['Approach', 'Climb', 'Descent', 'Landing Roll', 'Take-off run'])

const text = (reason: string) => z.string(reason).trim().min(1, reason)

/** A whole number of dollars or knots as the file writes it. */
const amount = (what: string) =>
  z
    .string(`${what} missing`)
    .trim()
    .regex(/^-?\d+$/, `${what} is not a number`)
    .transform(Number)
    .refine((value) => value >= 0, `${what} is negative`)

const speed = z
  .literal('')
  .transform(() => undefined)
  .or(amount('speed'))

/** One line of the file. The message of each check is the reason under which a rejected row is counted. */
const row = z.object({
  'Airport Name': text('airport missing'),
  'Origin State': text('state missing'),
  'Wildlife Species': text('species missing'),
  'Flight Date': z.iso.date('date cannot be read'),
  'Phase of flight': z.enum(PHASES, 'flight phase unknown'),
  'Effect Amount of damage': z.enum(['None', 'Minor', 'Medium', 'Substantial'], 'damage class unknown'),
  'Cost Other': amount('cost'),
  'Cost Repair': amount('cost'),
  'Cost Total $': amount('cost'),
  'Speed IAS in knots': speed,
})

export type Strike = {
  date: string
  airport: string
  state: string
  species: string
  phase: (typeof PHASES)[number]
  damaged: boolean
  /** US dollars, other cost included. */
  cost: number
  /** Knots. Most reports do not contain it. */
  speed?: number
}

/** Returns how the fields of a row contradict each other or common sense, or `undefined` if they do not. */
function contradiction(fields: z.infer<typeof row>): string | undefined {
  const { 'Flight Date': date, 'Phase of flight': phase, 'Speed IAS in knots': speed } = fields
  if (date < FIRST_DAY || date > new Date().toISOString().slice(0, 10)) return 'date outside the period of the database'
  if (fields['Cost Other'] + fields['Cost Repair'] !== fields['Cost Total $']) return 'costs do not add up'
  if (fields['Effect Amount of damage'] === 'None' && fields['Cost Repair'] > 0) return 'repair cost without damage'
  if (speed === undefined) return undefined
  if (speed === 0 && IN_MOTION.has(phase)) return 'in motion at 0 knots'
  if (phase === 'Parked' && speed > 0) return 'parked and moving'
  if (phase === 'Taxi' && speed > FASTEST_TAXI) return 'too fast for the ground'
  if (/roll|run/i.test(phase) && speed > FASTEST_ROLL) return 'too fast for the ground'
  return undefined
}

/** Reads one row, or returns why it cannot be used. */
export function readStrike(fields: unknown): { strike: Strike } | { reason: string } {
  const parsed = row.safeParse(fields)
  if (!parsed.success) return { reason: reasonOf(parsed.error) }
  const reason = contradiction(parsed.data)
  if (reason !== undefined) return { reason }
  const { data } = parsed
  const strike: Strike = {
    date: data['Flight Date'],
    airport: data['Airport Name'],
    state: data['Origin State'],
    species: data['Wildlife Species'],
    phase: data['Phase of flight'],
    damaged: data['Effect Amount of damage'] !== 'None',
    cost: data['Cost Total $'],
    speed: data['Speed IAS in knots'],
  }
  return { strike }
}

/** Returns the message of the first check that failed. The checks of a union are one level deeper. */
function reasonOf({ issues: [issue] }: z.core.$ZodError): string {
  if (issue?.code !== 'invalid_union') return issue?.message ?? 'row cannot be read'
  return issue.errors.at(-1)?.[0]?.message ?? issue.message
}
