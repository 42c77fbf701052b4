import { QueueError, toError, tryUseRunContext, type JobDraft, type Kernel } from '../../../kernel/index.ts'
import type { PayloadCodec, PayloadPlace, Reader } from '../../lib/payloads/codec.ts'
import { decrypt, encrypt, keyIdOf, ENCRYPTED_PREFIX } from './cipher.ts'
import type { KeyRing } from './keys.ts'

/** The facts of a job from which `keyFor` chooses its key. */
export type KeyedJob = Pick<JobDraft, 'id' | 'runId' | 'queue' | 'name' | 'tags' | 'headers' | 'flow'>
/** Returns the id of the key that encrypts the payloads of a job, or `undefined` for the current key. */
export type KeyFor = (job: KeyedJob) => string | undefined

/** How many runs are remembered with a key. */
const RUNS = 100_000

/** Encrypts and decrypts. Without keys it only recognizes encrypted values. */
export function createEncryption(kernel: Kernel, ring: KeyRing | undefined, keyFor: KeyFor | undefined) {
  /** The keys of runs by `keyFor`. Events name their run and not their job. */
  const runs = new Map<string, string>()
  /** Texts that this process has returned instead of values that it could not decrypt. */
  const shown = new Set<string>()
  const reported = new Set<string>()
  /** Runs of which this process has returned such texts, and the missing key. Plugins may have cached their state. */
  const unreadable = new Map<string, string>()

  /** Remembers the key of a run. */
  function know(job: KeyedJob): string | undefined {
    const id = keyFor?.(job)
    if (id === undefined) return undefined
    remember(runs, job.runId, id)
    return id
  }

  /** @throws QueueError `ENCRYPTION_KEY_MISSING` */
  function claimed(job: KeyedJob): void {
    const { runId, id } = job
    const written = know(job)
    if (ring && written !== undefined && !ring.find(written)) throw keyMissing(written, { runId, id, kind: 'result' })
    const keyId = unreadable.get(runId)
    if (keyId !== undefined) throw keyMissing(keyId, { runId, id, kind: 'history' })
  }

  function encode(value: unknown, place: PayloadPlace): string | undefined {
    if (shown.size > 0) refuseShown(value, shown, place)
    if (!ring) return undefined
    const keyId = (place.job ? know(place.job) : runs.get(place.runId)) ?? ring.current
    const key = ring.find(keyId)
    if (key) return encrypt(value, place, keyId, key)
    throw keyMissing(keyId, place)
  }

  function decode(text: string, place: PayloadPlace, reader: Reader): unknown {
    const keyId = keyIdOf(text)
    const key = ring?.find(keyId)
    let error: QueueError
    if (key) {
      try {
        return decrypt(text, place, key)
      } catch (cause) {
        error = changed(keyId, place, cause)
      }
    } else error = keyMissing(keyId, place)
    report(keyId, error)
    if (reader === 'run' || (reader === 'read' && tryUseRunContext())) throw error
    const instead = key ? `[encrypted with key "${keyId}", and changed]` : `[encrypted with key "${keyId}"]`
    shown.add(instead)
    if (!key) remember(unreadable, place.runId, keyId)
    return instead
  }

  function report(keyId: string, error: QueueError): void {
    if (reported.has(keyId)) return
    reported.add(keyId)
    kernel.reporter.warn(`${error.message} This is reported once for each key.`)
  }

  const codec: PayloadCodec = {
    prefix: ENCRYPTED_PREFIX,
    // Without keys, values are stored as they are. Only values that this process could not decrypt stay encrypted.
    get active() {
      return ring !== undefined || shown.size > 0
    },
    searchable: !ring,
    encode,
    decode,
    claimed,
  }
  return { codec, missing: (): string[] => [...reported] }
}

/** Sets an entry, and drops the oldest one of a large map. */
function remember(map: Map<string, string>, runId: string, keyId: string): void {
  map.delete(runId)
  map.set(runId, keyId)
  if (map.size > RUNS) map.delete(map.keys().next().value!)
}

function keyMissing(keyId: string, { runId, kind }: PayloadPlace): QueueError {
  const message = `The ${kind} of run ${runId} needs encryption key "${keyId}", which this process does not have.`
  const hint = 'Add it to "encryption.keys" or NUXT_QUEUE_ENCRYPTION_KEYS.'
  return new QueueError('ENCRYPTION_KEY_MISSING', `${message} ${hint}`, { details: { keyId } })
}

function changed(keyId: string, { runId, kind }: PayloadPlace, cause: unknown): QueueError {
  const message = `The ${kind} of run ${runId} cannot be decrypted with key "${keyId}": it was changed or moved, or the key is another one.`
  const hint = 'Check that this id has the same key in all processes. If it has, somebody has changed the store.'
  return new QueueError('ENCRYPTION_FAILED', `${message} ${hint}`, { cause: toError(cause), details: { keyId } })
}

/** A text that stands for an encrypted value must never replace it. @throws QueueError `ENCRYPTION_KEY_MISSING` */
function refuseShown(value: unknown, shown: ReadonlySet<string>, { runId, kind }: PayloadPlace): void {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) refuseShown(member, shown, { runId, kind, id: '' })
  } else if (typeof value === 'string' && shown.has(value)) {
    const message = `The ${kind} of run ${runId} holds a value that this process could not decrypt: ${value}. It is not stored, because the value would be lost.`
    const hint = 'Add the key to "encryption.keys" or NUXT_QUEUE_ENCRYPTION_KEYS.'
    throw new QueueError('ENCRYPTION_KEY_MISSING', `${message} ${hint}`)
  }
}
