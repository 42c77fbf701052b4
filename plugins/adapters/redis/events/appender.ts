import { randomUUID } from 'node:crypto'
import type {
  AppendOptions,
  AppendRefusal,
  AppendResult,
  EventDraft,
  RunPatch,
  StoredEvent,
} from '../../../../kernel/index.ts'
import { defineScript, isFault, wakeChannel, type RedisPort } from '../lib/redis.ts'
import { APPEND } from './append-script.ts'
import { checkAppend } from './check-append.ts'
import { encodeEvent, encodeNames, fieldOf } from './codec.ts'
import type { Shards } from './shards.ts'

/** The maximum number of appends and of characters in one call, because a script blocks Redis. */
const MAX_APPENDS = 64
const MAX_TEXT = 256 * 1024
/** How many calls may be in flight to one Redis. While it runs one, this process prepares the next. */
const PIPELINES = 2

interface Pending {
  stream: string
  /** Drafts with copies of their data. */
  events: readonly EventDraft[]
  options: AppendOptions
  texts: readonly string[]
  size: number
  resolve: (result: AppendResult) => void
  reject: (error: unknown) => void
}

/**
 * Creates the appender. Appends that are made while a call is in flight are sent together in the next call. A pipeline has one call
 * in flight at a time. This preserves the order of appends, and allows the script to recognize a repeated call.
 */
export function createAppender(redis: RedisPort, shards: Shards) {
  const append = defineScript(redis, APPEND)
  const client = randomUUID()
  const channel = wakeChannel('', redis.database)
  const publish = redis.cluster ? 'SPUBLISH' : 'PUBLISH'
  const pipelines: ReturnType<typeof createPipeline>[] = []

  function createPipeline(tag: string, number: number) {
    const callKey = `${tag}:call:${client}:${number}`
    let queue: Pending[] = []
    let calls = 0
    let busy = false
    let scheduled = false

    function schedule(): void {
      if (scheduled || busy) return
      scheduled = true
      // Runs after the current call stack, so that a job that starts and ends in it stores both with one call.
      process.nextTick(flush)
    }

    function take(): Pending[] {
      let size = 0
      let count = 0
      while (count < queue.length && count < MAX_APPENDS && (count === 0 || size < MAX_TEXT)) {
        size += queue[count]!.size
        count++
      }
      const taken = queue.slice(0, count)
      queue = queue.slice(count)
      return taken
    }

    function flush(): void {
      scheduled = false
      busy = true
      void send(take()).finally(() => {
        busy = false
        if (queue.length > 0) schedule()
      })
    }

    /** Sends a batch. If Redis rejects it because of one append, splits it in halves until that append is alone. */
    async function send(batch: readonly Pending[]): Promise<void> {
      try {
        await call(batch)
      } catch (error) {
        if (batch.length > 1 && isFault(error)) {
          const half = batch.length >> 1
          await send(batch.slice(0, half))
          return send(batch.slice(half))
        }
        for (const { reject } of batch) reject(error)
      }
    }

    async function call(batch: readonly Pending[]): Promise<void> {
      // Grouped by stream, because the script reads each stream once. The order within a stream is preserved.
      const groups = [...Map.groupBy(batch, ({ stream }) => stream)].map(([stream, some]) => ({
        stream,
        units: mergeAppends(some),
      }))
      const header = JSON.stringify(
        groups.flatMap(({ stream, units }) => [shards.tagOf(stream), stream, ...headerOf(stream, units)]),
      )
      const sent = groups.flatMap(({ units }) => units)
      const texts = sent.flatMap(({ members }) => members.flatMap((one) => one.texts))
      const reply = await append([`${tag}:log`], [callKey, ++calls, publish, channel, header, ...texts])
      const results = (reply as string).split(';')
      for (const [index, unit] of sent.entries()) resolveUnit(unit, results[index]!)
    }

    return (pending: Pending): void => {
      queue.push(pending)
      schedule()
    }
  }

  return (stream: string, events: readonly EventDraft[], options: AppendOptions): Promise<AppendResult> => {
    checkAppend(stream, events, options)
    const number = redis.cluster ? shards.indexOf(stream) : shards.hashOf(stream) % PIPELINES
    const pipeline = (pipelines[number] ??= createPipeline(shards.tags[redis.cluster ? number : 0]!, number))
    const texts = events.map(encodeEvent)
    const size = texts.reduce((sum, text) => sum + text.length, 0)
    return new Promise((resolve, reject) => pipeline({ stream, events, options, texts, size, resolve, reject }))
  }
}

/** The number of fields that the script reads of every stream. The positions of further fields follow. */
const ALWAYS_LOADED = 4

/** Successive appends to one stream that are sent as one append, because they are accepted or rejected together. */
interface Unit {
  members: Pending[]
  options: AppendOptions
}

/** Merges appends into units. If a job ends before its start was sent, both are one unit, which halves the cost. */
function mergeAppends(appends: readonly Pending[]): Unit[] {
  const units: Unit[] = []
  for (const pending of appends) {
    const last = units.at(-1)
    if (last && canMerge(last, pending)) {
      last.members.push(pending)
      last.options = { ...last.options, run: mergeRuns(last.options.run, pending.options.run) }
    } else units.push({ members: [pending], options: pending.options })
  }
  return units
}

function canMerge({ members, options: before }: Unit, { options: after }: Pending): boolean {
  const { unless, fence, expectedSeq, reopen, run } = before
  const open = run?.status === undefined || run.status === 'running'
  const same = unless === after.unless && fence?.job === after.fence?.job && fence?.token === after.fence?.token
  const free = expectedSeq === undefined && after.expectedSeq === undefined && !reopen && !after.reopen
  const keyed = unless !== undefined && members.some(({ events }) => events.some(({ key }) => key === unless))
  return open && same && free && !keyed
}

function mergeRuns(before: RunPatch | undefined, after: RunPatch | undefined): RunPatch | undefined {
  return before && after ? { ...before, ...withoutUndefined(after) } : (after ?? before)
}

function withoutUndefined(patch: RunPatch): RunPatch {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
}

/** Returns the part of the header that describes the appends to one stream. `append-script.ts` documents its format. */
function headerOf(stream: string, units: readonly Unit[]): (string | number | boolean)[] {
  const positions = new Map<string, number>()
  const position = (field: string | undefined): number | false => {
    if (field === undefined) return false
    const known = positions.get(field)
    if (known !== undefined) return known
    positions.set(field, ALWAYS_LOADED + positions.size + 1)
    return ALWAYS_LOADED + positions.size
  }
  const described = units.flatMap(({ members, options: { unless, fence, expectedSeq, reopen, run } }) => {
    const events = members.flatMap((member) => member.events)
    return [
      position(unless === undefined ? undefined : fieldOf('k', stream, unless)),
      position(fence && fieldOf('t', stream, fence.job)),
      fence?.token ?? false,
      expectedSeq ?? false,
      reopen === true,
      run === undefined ? false : (run.status ?? ''),
      run === undefined ? false : encodeNames(stream, run),
      events.length,
      ...events.map(({ key }) => position(key === undefined ? undefined : fieldOf('k', stream, key))),
    ]
  })
  return [positions.size, ...positions.keys(), units.length, ...described]
}

/** Resolves the appends of a unit. `append-script.ts` documents the format of the result. */
function resolveUnit({ members }: Unit, result: string): void {
  if (result.startsWith('!')) {
    const [reason, head] = result.slice(1).split(',')
    const refusal = { ok: false, reason: reason as AppendRefusal['reason'], head: Number(head) } as const
    for (const { resolve } of members) resolve(refusal)
    return
  }
  const [last, ts, ...known] = result.split(',').map(Number) as [number, number, ...number[]]
  const count = members.reduce((sum, { events }) => sum + events.length, 0)
  let head = last - (count - known.length)
  let position = 0
  for (const { stream, events, resolve } of members) {
    const stored: StoredEvent[] = []
    for (const { type, flow, step, stepId, attempt, data, key } of events) {
      if (known.includes(++position)) continue
      const seq = ++head
      stored.push({ seq, id: `${stream}:${seq}`, ts, type, runId: stream, flow, step, stepId, attempt, data, key })
    }
    resolve({ ok: true, events: stored, head })
  }
}
