import { hash } from 'node:crypto'
import { isReserved, QueueError, toError, tryUseRunContext, type Kernel } from '../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../lib/json.ts'
import type { PayloadCodec, PayloadPlace, Reader } from '../../lib/payloads/codec.ts'
import { createKey, parseKey } from './keys.ts'
import type { OffloadStorage } from './storage.ts'

/** A reference is the text `nqo1.<key>.<bytes>.<SHA-256 in base64url>`. */
export const OFFLOADED_PREFIX = 'nqo1.'
const REFERENCE = /^nqo1[.]([\da-f]+:[\w-]+)[.](\d+)[.]([\w-]{43})$/

/** Stores large values in a storage and puts references in their place. Without a storage it only recognizes references. */
export function createOffload(kernel: Kernel, storage: OffloadStorage | undefined, threshold: number): PayloadCodec {
  async function store(text: string, { runId }: PayloadPlace): Promise<string | undefined> {
    const key = createKey(runId, kernel.clock.now())
    if (key === undefined) return undefined
    const bytes = Buffer.from(text)
    try {
      // The value is stored before its reference. A process that dies in between leaves a value without a run or in a run, and both are swept.
      await storage!.setItemRaw(key, bytes)
    } catch (cause) {
      throw away('stored', runId, cause)
    }
    return `${OFFLOADED_PREFIX}${key}.${bytes.byteLength}.${hash('sha256', bytes, 'base64url')}`
  }

  async function load(reference: string, { runId, kind }: PayloadPlace): Promise<unknown> {
    const [, key = '', length, digest] = REFERENCE.exec(reference) ?? []
    const what = `The ${kind} of run ${runId}`
    if (!storage) throw missing(`${what} is in a storage that this process does not have.`)
    if (!parseKey(key)) throw missing(`${what} has a reference that cannot be read.`)
    let found: unknown
    try {
      found = await storage.getItemRaw(key)
    } catch (cause) {
      throw away('read', runId, cause)
    }
    const bytes = toBytes(found)
    if (!bytes) throw missing(`${what} is not in the storage (${key}).`)
    if (bytes.byteLength !== Number(length) || hash('sha256', bytes, 'base64url') !== digest) {
      throw missing(
        `${what} has changed in the storage (${key}): it must have ${length} bytes, and has ${bytes.byteLength}.`,
      )
    }
    return decodeJson(bytes.toString('utf8'))
  }

  async function decode(reference: string, place: PayloadPlace, reader: Reader): Promise<unknown> {
    const strict = reader === 'run' || (reader === 'read' && tryUseRunContext() !== undefined)
    try {
      return await load(reference, place)
    } catch (error) {
      if (strict) throw error
      return `[not available: ${toError(error).message}]`
    }
  }

  return {
    prefix: OFFLOADED_PREFIX,
    active: storage !== undefined,
    searchable: true,
    encode(value, place) {
      if (!storage || !isStored(place) || isSmall(value, threshold)) return undefined
      const text = encodeJson(value)
      return text.length * 3 <= threshold || Buffer.byteLength(text) <= threshold ? undefined : store(text, place)
    },
    decode,
  }
}

/** Streams of plugins are trimmed and not removed, and messages and snapshots are replaced. Their values stay in the store. */
function isStored({ runId, kind }: PayloadPlace): boolean {
  return !isReserved('run', runId) && !/^(?:message|snapshot)[.]/.test(kind)
}

/** Whether a value is small, without encoding it. */
function isSmall(value: unknown, threshold: number): boolean {
  return typeof value === 'string' ? value.length * 6 <= threshold : typeof value !== 'object' || value === null
}

function toBytes(found: unknown): Buffer | undefined {
  if (typeof found === 'string') return Buffer.from(found)
  if (found instanceof ArrayBuffer) return Buffer.from(found)
  return found instanceof Uint8Array ? Buffer.from(found.buffer, found.byteOffset, found.byteLength) : undefined
}

function missing(message: string): QueueError {
  const hint =
    'Check that all processes have the same "offload.storage", and that nothing else removes or changes its values.'
  return new QueueError('OFFLOAD_MISSING', `${message} ${hint}`, { retryable: false })
}

function away(verb: string, runId: string, cause: unknown): QueueError {
  const message = `A large value of run ${runId} could not be ${verb} in the storage of "offload": ${toError(cause).message}`
  return new QueueError('STORE_UNAVAILABLE', message, { cause })
}
