import { randomUUID } from 'node:crypto'
import type { AppendOptions, AppendRefusal, AppendResult, EventDraft, StoredEvent } from '../../../../kernel/index.ts'
import { createGroupCommit } from '../../lib/group-commit.ts'
import { mergeAppend, type MergedAppends, type WaitingAppend } from '../../lib/merge-appends.ts'
import type { AppendReceipt } from '../lib/append-receipt.ts'
import { defineScript, isFault, wakeChannel, type RedisPort } from '../lib/redis.ts'
import { APPEND } from './append-script.ts'
import { checkAppendTypes } from './check-append.ts'
import { encodeEvent, encodeNames, hashFieldOf } from './codec.ts'
import type { Shards } from './shards.ts'

/** The maximum number of streams and of characters in one call, because a script blocks Redis. */
const MAX_STREAMS = 64
const MAX_TEXT = 256 * 1024
/** How many calls may be in flight to one Redis. While it runs one, this process prepares the next. */
const PIPELINES = 2

interface Pending extends WaitingAppend {
  stream: string
  texts: readonly string[]
  size: number
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
    let calls = 0

    async function call(batch: readonly Pending[]): Promise<AppendResult[]> {
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
      const replying = append([`${tag}:log`], [callKey, ++calls, publish, channel, header, ...texts])
      announceEndings(sent, callKey, calls)
      const reply = await replying
      const results = (reply as string).split(';')
      const outcomes = new Map<Pending, AppendResult>()
      for (const [index, unit] of sent.entries()) setResults(outcomes, unit, results[index]!)
      return batch.map((one) => outcomes.get(one)!)
    }

    /** Lets the jobs that end with this call be settled by a call right behind it. Calls of a cluster may reach different nodes. */
    function announceEndings(sent: readonly Unit[], key: string, number: number): void {
      if (redis.cluster) return
      for (const [index, { members }] of sent.entries()) {
        for (const { drafts, options } of members) {
          const { ending, unless } = options
          // An accepted append with this condition has stored the terminal event itself.
          if (ending?.store !== redis || unless !== ending.key) continue
          const end = drafts.find((draft) => draft.key === ending.key)
          if (end) ending.sent(end, { callKey: key, call: number, position: index + 1 } satisfies AppendReceipt)
        }
      }
    }

    return createGroupCommit<Pending, AppendResult>({
      commit: call,
      ...{ maxItems: MAX_STREAMS, maxBytes: MAX_TEXT, sizeOf: ({ size }) => size, splitOn: isFault },
      // The start and the end of a job travel together if both wait, because then they are one append.
      keyOf: ({ stream }) => stream,
      // A job that starts and ends in one call stack stores both with one call.
      soon: true,
    })
  }

  return (stream: string, drafts: readonly EventDraft[], options: AppendOptions): Promise<AppendResult> => {
    checkAppendTypes(stream, drafts, options)
    const number = redis.cluster ? shards.indexOf(stream) : shards.hashOf(stream) % PIPELINES
    const pipeline = (pipelines[number] ??= createPipeline(shards.tags[redis.cluster ? number : 0]!, number))
    const texts = drafts.map(encodeEvent)
    const size = texts.reduce((sum, text) => sum + text.length, 0)
    return pipeline.push({ stream, drafts, options, texts, size })
  }
}

/** The number of fields that the script reads of every stream. The positions of further fields follow. */
const ALWAYS_LOADED = 4

type Unit = MergedAppends<Pending>

/** Merges appends to one stream into units. A job that ends before its start was sent is one unit, at half the cost. */
function mergeAppends(appends: readonly Pending[]): Unit[] {
  const units: Unit[] = []
  for (const pending of appends) {
    const last = units.at(-1)
    if (!last || !mergeAppend(last, pending)) units.push({ members: [pending], options: pending.options })
  }
  return units
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
    const events = members.flatMap(({ drafts }) => drafts)
    return [
      position(unless === undefined ? undefined : hashFieldOf('k', stream, unless)),
      position(fence && hashFieldOf('t', stream, fence.job)),
      fence?.token ?? false,
      expectedSeq ?? false,
      reopen === true,
      run === undefined ? false : (run.status ?? ''),
      run === undefined ? false : encodeNames(stream, run),
      events.length,
      ...events.map(({ key }) => position(key === undefined ? undefined : hashFieldOf('k', stream, key))),
    ]
  })
  return [positions.size, ...positions.keys(), units.length, ...described]
}

/** Sets the results of the appends of a unit. `append-script.ts` documents the format of the result. */
function setResults(results: Map<Pending, AppendResult>, { members }: Unit, result: string): void {
  if (result.startsWith('!')) {
    const [reason, head] = result.slice(1).split(',')
    const refusal = { ok: false, reason: reason as AppendRefusal['reason'], head: Number(head) } as const
    for (const member of members) results.set(member, refusal)
    return
  }
  const [last, ts, ...known] = result.split(',').map(Number) as [number, number, ...number[]]
  const count = members.reduce((sum, { drafts }) => sum + drafts.length, 0)
  let head = last - (count - known.length)
  let position = 0
  for (const member of members) {
    const { stream, drafts } = member
    const stored: StoredEvent[] = []
    for (const { type, flow, step, stepId, attempt, data, key } of drafts) {
      if (known.includes(++position)) continue
      const seq = ++head
      stored.push({ seq, id: `${stream}:${seq}`, ts, type, runId: stream, flow, step, stepId, attempt, data, key })
    }
    results.set(member, { ok: true, events: stored, head })
  }
}
