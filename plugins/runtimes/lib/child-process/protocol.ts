import type { Job } from '../../../../kernel/index.ts'

/*
 * The worker protocol as types; docs/protocol.md tells what they mean.
 */

export const PROTOCOL = 1

/** The file descriptor of the channel, which the variable `CHANNEL_VARIABLE` names. */
export const CHANNEL_FD = 3

/** Numbers of errors: those of JSON-RPC, then ours. */
export const RPC = {
  parse: -32700,
  invalid: -32600,
  method: -32601,
  params: -32602,
  internal: -32603,
  failed: -32000,
  load: -32001,
  tooLarge: -32002,
  execution: -32003,
  version: -32005,
} as const

export interface InitializeParams {
  protocol: number
  host: { name: string; version: string }
  worker: { id: string; file: string }
  maxMessage: number
}

export interface InitializeResult {
  protocol: number
  runtime: { name: string; version: string }
  capabilities?: { heartbeat?: boolean; undefined?: boolean }
}

export interface ExecuteParams {
  job: Job
  claim: number
}

export interface ExecuteResult {
  value?: unknown
  defer?: {
    delay?: number
    until?: number
    holdQueue?: boolean
    /** The handler was left at a wait: it is due with the first of those it has begun. */
    suspended?: boolean
  }
  usage?: Usage
}

export interface CancelParams {
  execution: number
  reason: { code: string; message: string }
}

/** What a process has used. */
export interface Usage {
  /** The largest resident size, in bytes. */
  maxRss: number
  /** CPU time in milliseconds since its start. */
  cpu: number
}

export type Params = Readonly<Record<string, unknown>>

/** What the host calls itself in the handshake. */
export const HOST = { name: 'nuxt-queue', version: '0.6.0' } as const
