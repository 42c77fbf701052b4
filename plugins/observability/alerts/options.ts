import { z } from 'zod'
import { MAX_DURATION, type MaybePromise } from '../../../kernel/index.ts'
import { parseStandardKey } from '../../lib/standard-webhooks.ts'
import type { Alert, AlertRule } from './alert.ts'

/** The options that every rule has. */
export interface CommonRule {
  /** The queues to watch. `*` stands for any text, and `!` excludes a queue. Default: all queues. */
  queues?: readonly string[] | undefined
  /** The period in which the same item is not reported again, in milliseconds. Default: `coolDown` of the plugin. */
  coolDown: number
}

/** The enabled rules. */
export type ActiveRules = { [Rule in AlertRule]?: CommonRule } & {
  'worker-failed'?: { min: number }
  'dead-letters'?: { min: number }
  backlog?: { age: number }
  'no-worker'?: { age: number }
  'schedule-missed'?: { late: number }
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** The minimum size of a secret that Standard Webhooks recommends, in bytes. */
const MIN_SECRET = 24

const ms = (least: number, byDefault: number) => z.number().int().min(least).max(MAX_DURATION).default(byDefault)
const common = {
  queues: z.array(z.string().min(1)).min(1).optional(),
  coolDown: z.number().int().min(0).max(MAX_DURATION).optional(),
}

/** Returns the schema of a rule: an object with options, `true` for the defaults, or `false`. */
function rule<Shape extends z.ZodRawShape>(shape: Shape) {
  const object = z.strictObject({ ...common, ...shape })
  const given = z.custom<z.input<typeof object> | boolean>(() => true).default(true)
  return given.transform((value, ctx): z.output<typeof object> | undefined => {
    if (value === false) return undefined
    const { data, error } = object.safeParse(value === true ? {} : value)
    for (const { message, path } of error?.issues ?? []) ctx.addIssue({ code: 'custom', message, path: [...path] })
    return data
  })
}

/** Errors must not show a URL, because a Slack URL is a secret. */
const url = z.string().refine(isWebUrl, 'Expected an http or https URL without user name and password.')
const secret = z.string().refine(isSecret, `Expected "whsec_" and the base64 of at least ${MIN_SECRET} random bytes.`)
const name = z
  .string()
  .regex(/^[\w-]{1,50}$/, 'Expected 1 to 50 letters, digits, "_" or "-".')
  .optional()

const webhook = z.strictObject({ name, webhook: url, secret: z.union([secret, z.array(secret).min(1)]) })
const slack = z.strictObject({ name, slack: url })

/** Distinguishes the shapes by their specific member, so that errors refer to the intended shape. */
const destination = z
  .custom<z.infer<typeof webhook> | z.infer<typeof slack>>((value) => typeof value === 'object' && value !== null)
  .superRefine((value, ctx) => {
    const shape = 'slack' in value ? slack : webhook
    for (const { message, path } of shape.safeParse(value).error?.issues ?? []) {
      ctx.addIssue({ code: 'custom', message, path: [...path] })
    }
  })

export const alertOptions = z.strictObject({
  /** The rules. Each rule is enabled unless it is `false`. */
  rules: z
    .strictObject({
      /** A job failed permanently. `min`: how many jobs of a worker must fail within `window`. Default 1. */
      'worker-failed': rule({ min: z.number().int().min(1).default(1) }),
      /** Jobs fail with a new kind of error, or with a kind that was resolved. Each kind is reported once. */
      'error-group': rule({ coolDown: ms(0, 0) }),
      /** The oldest waiting job of a queue has been due for longer than `age` milliseconds. Default 300,000. */
      backlog: rule({ age: ms(0, 5 * MINUTE) }),
      /** Jobs became dead letters. `min`: how many jobs within `window`. Default 1. */
      'dead-letters': rule({ min: z.number().int().min(1).default(1) }),
      /** Jobs have waited for more than `age` milliseconds in a queue for which no process has a worker. Default 300,000. */
      'no-worker': rule({ age: ms(0, 5 * MINUTE) }),
      /** A schedule started nothing `late` milliseconds after its moment, or could not start it. Default 60,000. */
      'schedule-missed': rule({ late: ms(1000, MINUTE) }),
    })
    .prefault({}),
  /** Where alerts are sent. */
  to: z.array(destination).max(20).default([]),
  /** Called with each alert, in one process. If the callback throws, it is called again. */
  onAlert: z.custom<(alert: Alert) => MaybePromise<void>>((value) => typeof value === 'function').optional(),
  /**
   * The period in which the findings of a rule become one alert, in milliseconds. The alert is sent at the end of this window. Default
   * 10,000.
   */
  window: ms(100, 10_000),
  /** The period in which the same item is not reported again, in milliseconds. Default one hour. */
  coolDown: ms(0, HOUR),
  /** Milliseconds between two checks of queues, workers, schedules and error groups. One process checks for all. Default 30,000. */
  interval: ms(100, 30_000),
  /** How long a destination may take to respond, in milliseconds. Default 10,000. */
  timeout: ms(1, 10_000),
})
export type AlertOptions = z.infer<typeof alertOptions>
/** The section `alerts` of the configuration. */
export type AlertsConfig = z.input<typeof alertOptions>

/** Returns the enabled rules, each with its cool-down. */
export function activeRules({ rules, coolDown }: AlertOptions): ActiveRules {
  const active = Object.entries(rules).flatMap(([rule, options]) => (options ? [[rule, { coolDown, ...options }]] : []))
  return Object.fromEntries(active) as ActiveRules
}

/** Returns a function that returns whether a queue is watched. */
export function queueFilter(patterns: readonly string[] | undefined): (queue: string) => boolean {
  const toPattern = (text: string): RegExp =>
    new RegExp(`^${text.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '.*')}$`, 's')
  const [excluded, included] = [true, false].map((isExcluded) =>
    (patterns ?? [])
      .filter((text) => text.startsWith('!') === isExcluded)
      .map((text) => toPattern(isExcluded ? text.slice(1) : text)),
  ) as [RegExp[], RegExp[]]
  const matches = (all: RegExp[], queue: string): boolean => all.some((pattern) => pattern.test(queue))
  return (queue) => (included.length === 0 || matches(included, queue)) && !matches(excluded, queue)
}

function isWebUrl(text: string): boolean {
  const parsed = URL.parse(text)
  return /^https?:$/.test(parsed?.protocol ?? '') && parsed!.username === '' && parsed!.password === ''
}

function isSecret(text: string): boolean {
  const key = parseStandardKey(text)
  return key?.version === 'v1' && key.secret.length >= MIN_SECRET
}
