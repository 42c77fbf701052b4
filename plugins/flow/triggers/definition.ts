import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { QueueError, type Kernel, type MaybePromise } from '../../../kernel/index.ts'
import { rateLimitShape, warnOfOldRateLimit, type RateLimitOption } from '../../lib/rate-limit.ts'
import { checkSecret, savedVerifyShape, type SavedVerify } from './saved-webhook.ts'
import { verifyShape, type Verify } from './verify-options.ts'

/** An event that fires a trigger. Filters and transforms receive it. */
export interface TriggerEvent {
  trigger: string
  /** Two events with the same id are the same event. */
  id: string
  /** The subject of the event. `''` if the sender passed none. */
  key: string
  /** When it happened, in milliseconds since the epoch. For a schedule, its moment. */
  at: number
}

/** A verified request to a webhook. */
export interface WebhookFacts<Body = unknown> {
  headers: Headers
  query: URLSearchParams
  /** JSON and forms are parsed, other content is text. `undefined` if empty. */
  body: Body
  rawBody: Uint8Array
}

/** Functions that filter and transform a payload. */
interface Shaping {
  /** Returns false for an event that should start nothing. */
  filter?(payload: unknown, event: TriggerEvent): MaybePromise<boolean>
  /** Returns the data for the flow or worker. */
  transform?(payload: unknown, event: TriggerEvent): MaybePromise<unknown>
}

/** A target that the events of a trigger start. */
export interface TriggerSubscription extends Shaping {
  /** The name of the flow to start. */
  flow?: string
  /** The entry to start with, for a flow that has several. */
  entry?: string
  /** The id of the worker to enqueue, instead of a flow. */
  worker?: string
  /** Unique among the subscriptions of a trigger. Default: its target. */
  id?: string
}

type TriggerTiming = Pick<
  Parameters<Kernel['schedule']>[1],
  'cron' | 'timeZone' | 'every' | 'anchor' | 'at' | 'jitter' | 'catchUp' | 'data'
>

/** The source of the events of a trigger. */
export type TriggerSource =
  /** From `kernel.emitTrigger`, which fires triggers of the other types too. */
  | { type: 'manual' }
  /** From `kernel.sendEvent`. */
  | { type: 'event'; event: string }
  /** From a POST to `triggers/<path>` below `webhooks.baseUrl`. */
  | {
      type: 'webhook'
      path: string
      /** How requests are verified; `'none'` lets anyone fire the trigger. */
      verify: Verify
      /**
       * Returns the id of an event, by which a repeated delivery is recognized. Default: the id that GitHub, Stripe, Svix,
       * Shopify, Twilio or `Idempotency-Key` send, otherwise a new id.
       */
      id?(request: WebhookFacts): string
      /** Returns the payload. Default: the body. */
      payload?(request: WebhookFacts): unknown
      /**
       * Returns the proof that a sender asks for before its first delivery, or `undefined` for any other request. A
       * request with a proof starts nothing. A POST has been verified already (Slack). A GET cannot be signed, so compare
       * the token in its query (Meta). Without this option, a GET returns 405.
       *
       * @example
       * challenge: ({ body }) => (body.type === 'url_verification' ? body.challenge : undefined)
       * @example
       * challenge: ({ query }) => (query.get('hub.verify_token') === TOKEN ? query.get('hub.challenge') : undefined)
       */
      challenge?(request: WebhookFacts): string | null | undefined
    }
  /** From the clock, with the timing of a schedule. Its `data` is the payload. */
  | ({ type: 'schedule' } & TriggerTiming)

export type TriggerOptions = TriggerSource &
  Shaping & {
    /** Validates payloads (any Standard Schema). `filter` and `transform` receive the parsed payload. */
    input?: StandardSchemaV1
    /**
     * How many events may pass in a period of milliseconds, across all instances. Above the limit, webhooks and calls of
     * `emitTrigger` are refused. Events of the bus and moments of a schedule wait.
     */
    rateLimit?: RateLimitOption
  }

/** A trigger in the configuration. Its name is the key; `flow` or `worker` makes its first subscription. */
export type ConfiguredTrigger = TriggerOptions & Pick<TriggerSubscription, 'flow' | 'entry' | 'worker'>
export type TriggerDefinition = ConfiguredTrigger & { name: string }

/**
 * A trigger that operators save for all instances. It is plain data. A webhook names the environment variable that has its secret, and
 * a schedule is saved with `saveSchedule`.
 */
export type SavedTrigger = (
  | { type: 'manual' }
  | { type: 'event'; event: string }
  | { type: 'webhook'; path: string; verify: SavedVerify }
) &
  Pick<TriggerOptions, 'rateLimit'> &
  Pick<TriggerSubscription, 'flow' | 'entry' | 'worker'>

const fn = z.custom<() => unknown>((value) => typeof value === 'function', 'It must be a function.').optional()
const target = z.string().min(1).optional()
const any = z.unknown().optional()

const common = {
  name: z.string().regex(/^[^@]+$/, 'The name must not be empty or contain "@".'),
  input: z.custom((value) => typeof value === 'object' && value !== null && '~standard' in value).optional(),
  filter: fn,
  transform: fn,
  rateLimit: rateLimitShape.optional(),
  flow: target,
  entry: target,
  worker: target,
}
/** The schedule plugin checks these options. */
const timing = { cron: any, timeZone: any, every: any, anchor: any, at: any, jitter: any, catchUp: any, data: any }

const path = z
  .string()
  .regex(
    /^(?!\.{1,2}(?:\/|$)|.*\/\.{1,2}(?:\/|$))[\w.~-]+(?:\/[\w.~-]+)*$/,
    'The path must look like "github" or "shop/orders".',
  )
const definitionShape = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('manual'), ...common }),
    z.strictObject({ type: z.literal('event'), event: z.string().min(1), ...common }),
    z.strictObject({
      type: z.literal('webhook'),
      path,
      verify: verifyShape,
      id: fn,
      payload: fn,
      challenge: fn,
      ...common,
    }),
    z.strictObject({ type: z.literal('schedule'), ...timing, ...common }),
  ])
  .refine(({ flow, worker }) => flow === undefined || worker === undefined, 'Set only one of flow and worker.')

const subscriptionShape = z
  .strictObject({ flow: target, entry: target, worker: target, id: target, filter: fn, transform: fn })
  .refine(({ flow, worker }) => (flow === undefined) !== (worker === undefined), 'Set exactly one of flow and worker.')

const savedTarget = { rateLimit: rateLimitShape.optional(), flow: target, entry: target, worker: target }
const savedShape = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('manual'), ...savedTarget }),
    z.strictObject({ type: z.literal('event'), event: z.string().min(1), ...savedTarget }),
    z.strictObject({ type: z.literal('webhook'), path, verify: savedVerifyShape, ...savedTarget }),
  ])
  .refine(({ flow, worker }) => (flow === undefined) !== (worker === undefined), 'Set exactly one of flow and worker.')

/** @throws QueueError `TRIGGER_INVALID` */
export function checkSaved(name: string, trigger: SavedTrigger): void {
  check(savedShape, trigger, `Trigger "${name}"`)
  check(common.name, name, 'The name of a trigger')
  if (trigger.type === 'webhook') checkSecret(name, trigger.verify)
}

/** @throws QueueError `TRIGGER_INVALID` */
export function checkDefinition(definition: TriggerDefinition): void {
  check(definitionShape, definition, `Trigger "${definition.name}"`)
  if (definition.rateLimit) warnOfOldRateLimit(definition.rateLimit)
}

/** @throws QueueError `TRIGGER_INVALID` */
export function checkSubscription(trigger: string, subscription: TriggerSubscription): void {
  check(subscriptionShape, subscription, `A subscription to trigger "${trigger}"`)
}

function check(shape: z.ZodType, value: unknown, what: string): void {
  const { error } = shape.safeParse(value)
  if (error) throw new QueueError('TRIGGER_INVALID', `${what} is invalid:\n${z.prettifyError(error)}`)
}
