import { packageVersion } from '../../../lib/package-version.ts'
import type { Job } from '../../../../kernel/index.ts'

/*
 * The types of the worker protocol. docs/reference/protocol.md describes them.
 */

/** The version of the protocol. */
export const PROTOCOL = 1

/** The file descriptor of the channel. The environment variable `CHANNEL_VARIABLE` holds it. */
export const CHANNEL_FD = 3

/** Error codes: first the codes of JSON-RPC, then the codes of this protocol. */
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
    /** The handler was suspended at a wait. The job is due when the first of its waits is due. */
    suspended?: boolean
  }
  usage?: Usage
}

export interface CancelParams {
  execution: number
  reason: { code: string; message: string }
}

/** The resources that a process has used. */
export interface Usage {
  /** The largest resident size, in bytes. */
  maxRss: number
  /** CPU time in milliseconds since the start of the process. */
  cpu: number
}

export type MessageParams = Readonly<Record<string, unknown>>

/** The name and version that the host sends in the handshake. */
export const HOST = {
  name: 'nuxt-queue',
  get version() {
    return packageVersion()
  },
} as const
