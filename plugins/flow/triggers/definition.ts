import type { StandardSchemaV1 } from '@standard-schema/spec'
import { z } from 'zod'
import { QueueError, type Kernel, type MaybePromise, type RateLimitOption } from '../../../kernel/index.ts'
import { rateLimitShape, warnOfOldRateLimit } from '../../lib/rate-limit.ts'
import { verifyShape, type Verify } from './verify-options.ts'

/** Something that fires a trigger, as its functions see it. */
export interface TriggerEvent {
  trigger: string
  /** Fired again under the same id it is the same event. */
  id: string
  /** What it is about; `''` when nobody said. */
  key: string
  /** Milliseconds since the epoch at which it happened; of a schedule, its moment. */
  at: number
}

/** A request to a webhook, received and verified. */
export interface WebhookFacts {
  headers: Headers
  query: URLSearchParams
  /** JSON and forms parsed, anything else as text; `undefined` when empty. */
  body: unknown
  rawBody: Uint8Array
}

/** What decides about a payload, and what becomes of it. */
interface Shaping {
  /** False keeps the event from starting anything. */
  filter?(payload: unknown, event: TriggerEvent): MaybePromise<boolean>
  /** Makes what the flow or worker receives. */
  transform?(payload: unknown, event: TriggerEvent): MaybePromise<unknown>
}

/** What an event starts, and with what. */
export interface TriggerSubscription extends Shaping {
  /** The name of the flow to start. */
  flow?: string
  /** The entry to start with, for a flow that has several. */
  entry?: string
  /** The id of the worker to enqueue, in place of a flow. */
  worker?: string
  /** Unique among the subscriptions of a trigger. Default: its target. */
  id?: string
}

type TriggerTiming = Pick<
  Parameters<Kernel['schedule']>[1],
  'cron' | 'timeZone' | 'every' | 'anchor' | 'at' | 'jitter' | 'catchUp' | 'data'
>

/** Where events come from. */
export type TriggerSource =
  /** From `kernel.emitTrigger`, which fires the others too. */
  | { type: 'manual' }
  /** From `kernel.sendEvent`. */
  | { type: 'event'; event: string }
  /** From a POST to `triggers/<path>` below `webhooks.baseUrl`. */
  | {
      type: 'webhook'
      path: string
      /** How a sender proves who he is; `'none'` says in so many words that anybody may fire it. */
      verify: Verify
      /**
       * Names an event, so that one delivered again is known. Default: what GitHub, Stripe, Svix, Shopify, Twilio and
       * `Idempotency-Key` send, else a new id.
       */
      id?(request: WebhookFacts): string
      /** What the payload is. Default: the body. */
      payload?(request: WebhookFacts): unknown
      /**
       * Returns the text that proves to a sender that this webhook expects it, or `undefined` for a request that is none
       * of that kind. Such a request starts nothing. A POST has been verified before, as with Slack; a GET cannot be
       * signed, so compare the token in its query, as with Meta. Without this option, GET is answered with 405.
       *
       * @example
       * challenge: ({ body }) => (body.type === 'url_verification' ? body.challenge : undefined)
       * @example
       * challenge: ({ query }) => (query.get('hub.verify_token') === TOKEN ? query.get('hub.challenge') : undefined)
       */
      challenge?(request: WebhookFacts): string | null | undefined
    }
  /** From the clock; takes the timing of a schedule, whose `data` is the payload. */
  | ({ type: 'schedule' } & TriggerTiming)

export type TriggerOptions = TriggerSource &
  Shaping & {
    /** Checks payloads (any Standard Schema); `filter` and `transform` receive what it parsed. */
    input?: StandardSchemaV1
    /**
     * How many events may pass in a span of milliseconds, over all instances. What somebody waits
     * for is refused beyond that; events and moments, for which nobody does, wait for their turn.
     */
    rateLimit?: RateLimitOption
  }

/** A trigger of the configuration, where its name is the key; with a first subscription, if it has a target. */
export type ConfiguredTrigger = TriggerOptions & Pick<TriggerSubscription, 'flow' | 'entry' | 'worker'>
export type TriggerDefinition = ConfiguredTrigger & { name: string }

const fn = z.custom<() => unknown>((value) => typeof value === 'function', 'It has to be a function.').optional()
const target = z.string().min(1).optional()
const any = z.unknown().optional()

const common = {
  name: z.string().regex(/^[^@]+$/, 'A name is not empty and has no "@"; give it another one.'),
  input: z.custom((value) => typeof value === 'object' && value !== null && '~standard' in value).optional(),
  filter: fn,
  transform: fn,
  rateLimit: rateLimitShape.optional(),
  flow: target,
  entry: target,
  worker: target,
}
/** The schedule plugin checks them. */
const timing = { cron: any, timeZone: any, every: any, anchor: any, at: any, jitter: any, catchUp: any, data: any }

const definitionShape = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('manual'), ...common }),
    z.strictObject({ type: z.literal('event'), event: z.string().min(1), ...common }),
    z.strictObject({
      type: z.literal('webhook'),
      path: z
        .string()
        .regex(
          /^(?!\.{1,2}(?:\/|$)|.*\/\.{1,2}(?:\/|$))[\w.~-]+(?:\/[\w.~-]+)*$/,
          'A path is like "github" or "shop/orders".',
        ),
      verify: verifyShape,
      id: fn,
      payload: fn,
      challenge: fn,
      ...common,
    }),
    z.strictObject({ type: z.literal('schedule'), ...timing, ...common }),
  ])
  .refine(({ flow, worker }) => flow === undefined || worker === undefined, 'It takes one of flow and worker.')

const subscriptionShape = z
  .strictObject({ flow: target, entry: target, worker: target, id: target, filter: fn, transform: fn })
  .refine(({ flow, worker }) => (flow === undefined) !== (worker === undefined), 'It takes one of flow and worker.')

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
  if (error) throw new QueueError('TRIGGER_INVALID', `${what} is not one:\n${z.prettifyError(error)}`)
}
