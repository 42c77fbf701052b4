export type { BackoffOptions } from './backoff.ts'
export { QueueClientError, type Problem } from './error.ts'
export { follow } from './follow.ts'
export type { EphemeralMessage, RequestHeaders, RunEnd } from './frames.ts'
export { subscribe, type SubscribeOptions, type Subscription, type SubscriptionStatus } from './subscribe.ts'
export { createClient, type ClientOptions, type QueueClient, type RequestOptions, type RunResult } from './rest.ts'
export type {
  AuditEntryInfo,
  BulkInfo,
  ErrorGroupInfo,
  ScheduleDraft,
  ScheduleView,
  StatsPoint,
  WaitInfo,
} from '../lib/rest-types.ts'
