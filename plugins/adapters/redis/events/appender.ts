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

/** How many appends, and characters, one call carries at most: Redis does nothing else meanwhile. */
const MOST_APPENDS = 64
const MOST_TEXT = 256 * 1024
/** How many calls may be on their way to one Redis: while it is at one, this process prepares another. */
const LANES = 2

interface Pending {
  stream: string
  /** Drafts with data of their own. */
  events: readonly EventDraft[]
  options: AppendOptions
  texts: readonly string[]
  size: number
  resolve: (result: AppendResult) => void
  reject: (error: unknown) => void
}

/**
 * Appends that are asked for while a call is on its way travel together in the next one. One call at
 * a time on a lane keeps the order, and lets the store tell a call that comes again from a new one.
 */
export function createAppender(redis: RedisPort, shards: Shards) {
  const append = defineScript(redis, APPEND)
  const client = randomUUID()
  const channel = wakeChannel('', redis.database)
  const publish = redis.cluster ? 'SPUBLISH' : 'PUBLISH'
  const lanes: ReturnType<typeof createLane>[] = []

  function createLane(tag: string, number: number) {
    const callKey = `${tag}:call:${client}:${number}`
    let queue: Pending[] = []
    let calls = 0
    let busy = false
    let scheduled = false

    function schedule(): void {
      if (scheduled || busy) return
      scheduled = true
      // After all that is going on now: a job that starts and ends meanwhile stores both at once.
      process.nextTick(flush)
    }

    function take(): Pending[] {
      let size = 0
      let count = 0
      while (count < queue.length && count < MOST_APPENDS && (count === 0 || size < MOST_TEXT)) {
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

    /** Appends what travels together. What Redis refuses for the sake of one is halved until that one stands alone. */
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
      // By stream, which the script looks up once; within a stream in the order they came.
      const groups = [...Map.groupBy(batch, ({ stream }) => stream)].map(([stream, some]) => ({
        stream,
        units: unite(some),
      }))
      const header = JSON.stringify(
        groups.flatMap(({ stream, units }) => [shards.tagOf(stream), stream, ...headerOf(stream, units)]),
      )
      const sent = groups.flatMap(({ units }) => units)
      const texts = sent.flatMap(({ members }) => members.flatMap((one) => one.texts))
      const answer = await append([`${tag}:log`], [callKey, ++calls, publish, channel, header, ...texts])
      const answers = (answer as string).split(';')
      for (const [index, unit] of sent.entries()) resolveUnit(unit, answers[index]!)
    }

    return (pending: Pending): void => {
      queue.push(pending)
      schedule()
    }
  }

  return (stream: string, events: readonly EventDraft[], options: AppendOptions): Promise<AppendResult> => {
    checkAppend(stream, events, options)
    const number = redis.cluster ? shards.indexOf(stream) : shards.hashOf(stream) % LANES
    const lane = (lanes[number] ??= createLane(shards.tags[redis.cluster ? number : 0]!, number))
    const texts = events.map(encodeEvent)
    const size = texts.reduce((sum, text) => sum + text.length, 0)
    return new Promise((resolve, reject) => lane({ stream, events, options, texts, size, resolve, reject }))
  }
}

/** Fields that are loaded of every stream, which positions count from. */
const ALWAYS_LOADED = 4

/** Appends to one stream that the store may take as one, since what refuses the first refuses them all. */
interface Unit {
  members: Pending[]
  options: AppendOptions
}

/** The start and the end of a job that was over before its start was sent are one unit, which halves its cost. */
function unite(appends: readonly Pending[]): Unit[] {
  const units: Unit[] = []
  for (const pending of appends) {
    const last = units.at(-1)
    if (last && isOne(last, pending)) {
      last.members.push(pending)
      last.options = { ...last.options, run: mergeRuns(last.options.run, pending.options.run) }
    } else units.push({ members: [pending], options: pending.options })
  }
  return units
}

function isOne({ members, options: before }: Unit, { options: after }: Pending): boolean {
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

/** What the script has to know of the appends to one stream, see there. */
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

/** `!reason,head`, or `head,ts` and the positions of those whose key was known. */
function resolveUnit({ members }: Unit, answer: string): void {
  if (answer.startsWith('!')) {
    const [reason, head] = answer.slice(1).split(',')
    const refusal = { ok: false, reason: reason as AppendRefusal['reason'], head: Number(head) } as const
    for (const { resolve } of members) resolve(refusal)
    return
  }
  const [last, ts, ...known] = answer.split(',').map(Number) as [number, number, ...number[]]
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
