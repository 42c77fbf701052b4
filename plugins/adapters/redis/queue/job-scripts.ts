import { ALL_FIELDS } from './job-codec.ts'
import { INDEX } from './index-lua.ts'
import { COMMON, quoted } from './lua.ts'

const FIELDS = quoted(ALL_FIELDS)

/** Reads a job. ARGV: `base`, and its two possible ids (see `storedIds`). Returns its stored id, state and `ALL_FIELDS`, or an empty list. */
export const GET = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return {} end
return { id, stateOf(base, id), unpack(call('HMGET', base .. ':' .. id, ${FIELDS})) }
`

/** Counts jobs. ARGV: `base`, then the name and the kind (`list` or `set`) of each key. Returns the number of jobs of each key. */
export const SIZES = `
local base, sizes = ARGV[1], {}
for arg = 2, #ARGV, 2 do
  sizes[#sizes + 1] = redis.call(ARGV[arg + 1] == 'list' and 'LLEN' or 'ZCARD', base .. ':' .. ARGV[arg])
end
return sizes
`

/** Reads jobs of a queue. ARGV: `base`, then stored ids. Returns the stored id and `ALL_FIELDS` of each. */
export const MANY = `
local base, out = ARGV[1], {}
for arg = 2, #ARGV do
  out[arg - 1] = { ARGV[arg], unpack(redis.call('HMGET', base .. ':' .. ARGV[arg], ${FIELDS})) }
end
return out
`

/**
 * Reads a page of jobs of one key, oldest first.
 *
 * KEYS: the key. ARGV: `base`, the kind of the key (`list` or `set`), the offset, the number of jobs, `1` to read only the creation.
 *
 * Returns for each job its stored id and `ALL_FIELDS`, or its stored id and creation.
 */
export const PAGE = `
local key, kind, offset, count = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local ids = {}
if kind == 'list' then
  local found = redis.call('LRANGE', key, -offset - count, -offset - 1)
  for index = #found, 1, -1 do ids[#ids + 1] = found[index] end
else
  ids = redis.call('ZRANGE', key, offset, offset + count - 1)
end
local out = {}
for _, id in ipairs(ids) do
  local key = ARGV[1] .. ':' .. id
  out[#out + 1] = ARGV[5] == '1' and { id, redis.call('HGET', key, 'timestamp') or '0' }
    or { id, unpack(redis.call('HMGET', key, ${FIELDS})) }
end
return out
`

/** Cancels a job that waits or is delayed. ARGV: `base`, and its two possible ids. Returns 1, or 0 if there is no such job. */
export const CANCEL = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id or removeWaiting(base, id) == 0 then return 0 end
call('HSET', base .. ':' .. id, 'finishedOn', formatInteger(now))
call('ZADD', base .. ':nq-cancelled', exactNow, id)
event(base, 'event', 'cancelled', 'jobId', id)
return 1
`

/**
 * Adds a failed or cancelled job to the queue again. ARGV: `base`, its two possible ids, the round in which it has to be (`''` for any),
 * and its new data, if any. Returns `ok`, the state of a job that cannot be retried, `#` and its round if it is in another round, or
 * `''` if there is no such job.
 */
export const RETRY = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return '' end
local state = stateOf(base, id)
if state ~= 'failed' and state ~= 'cancelled' then return state end
local key = base .. ':' .. id
local round = call('HGET', key, 'nq:round') or '0'
if ARGV[4] ~= '' and ARGV[4] ~= round then return '#' .. round end
if ARGV[5] then call('HSET', key, 'data', ARGV[5]) end
call('ZREM', setOf(base, state), id)
call('HDEL', key, 'finishedOn', 'failedReason', 'stacktrace', 'returnvalue', 'nq:error', 'nq:ended', 'progress')
call('HSET', key, 'atm', 0, 'stc', 0, 'nq:at', formatInteger(now), 'delay', 0)
call('HINCRBY', key, 'nq:round', 1)
-- The field tells the next claim to read USED_FIELDS, even if the job was never claimed before.
call('HSETNX', key, 'ats', 0)
pushStored(base, id)
event(base, 'event', 'waiting', 'jobId', id, 'prev', state)
wake(base)
return 'ok'
`

/**
 * Changes when a job that waits or is delayed is due. The script is one step, so the job is never absent. ARGV: `base`, its two possible
 * ids, and the moment. Returns `waiting`, `delayed`, or `''` if there is no such job.
 */
export const RESCHEDULE = `${COMMON}
local base, dueAt = ARGV[1], math.max(tonumber(ARGV[4]), now)
local id = find(base, ARGV[2], ARGV[3])
if not id or removeWaiting(base, id) == 0 then return '' end
local key = base .. ':' .. id
call('HSET', key, 'nq:at', formatInteger(dueAt), 'delay', formatInteger(dueAt - now))
if dueAt > now then
  pushDelayed(base, id, dueAt)
  event(base, 'event', 'delayed', 'jobId', id, 'delay', formatInteger(dueAt))
  wakeWhenDue(base)
  return 'delayed'
end
pushStored(base, id)
event(base, 'event', 'waiting', 'jobId', id)
wake(base)
return 'waiting'
`

/**
 * Makes a delayed job due. If the job is active, its next deferral ends immediately. ARGV: `base`, and its two possible ids. Returns
 * `waiting`, `active`, or `''` if the job is in another state.
 */
export const PROMOTE = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return '' end
local key = base .. ':' .. id
if call('ZREM', base .. ':delayed', id) == 1 then
  call('HSET', key, 'nq:at', formatInteger(now), 'delay', 0)
  pushStored(base, id)
  event(base, 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
  wake(base)
  return 'waiting'
end
if stateOf(base, id) ~= 'active' then return '' end
call('HSET', key, 'nq:promoted', call('HGET', key, 'ats') or 0)
return 'active'
`

/** Reads what is remembered of a removed job. ARGV: `base`, the stored id. */
export const KNOWN = `${COMMON}
return call('GET', knownKey(ARGV[1], ARGV[2]))
`

/**
 * Removes a job that is not active, and frees its id. ARGV: `base`, its two possible ids, and the state, round, claims and creation that
 * it must have, if any. Returns `ok`, `active`, `changed`, `known` if only the id of a removed job was freed, or `''` if there is no such job.
 */
export const REMOVE = `${COMMON}${INDEX}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return not ARGV[4] and call('DEL', knownKey(base, ARGV[2])) == 1 and 'known' or '' end
local state, marks = stateOf(base, id), call('HMGET', base .. ':' .. id, 'nq:round', 'ats', 'timestamp')
if state == 'active' then return 'active' end
if ARGV[4] and state ~= ARGV[4] then return 'changed' end
for n = 5, #ARGV do if tonumber(marks[n - 4] or 0) ~= tonumber(ARGV[n]) then return 'changed' end end
removeWaiting(base, id)
for _, outcome in ipairs({ 'completed', 'failed', 'cancelled' }) do call('ZREM', setOf(base, outcome), id) end
unindex(base, { id })
dropKeys(base, id)
event(base, 'event', 'removed', 'jobId', id)
return 'ok'
`

/** Pauses or resumes a queue, like BullMQ. ARGV: `base`, `1` to pause. Returns 1 if this changed the queue, or else 0. */
export const PAUSE = `${COMMON}
local base, pause = ARGV[1], ARGV[2] == '1'
local meta = base .. ':meta'
if (call('HEXISTS', meta, 'paused') == 1) == pause then return 0 end
if pause then
  call('HSET', meta, 'paused', 1)
  call('DEL', base .. ':marker')
else
  call('HDEL', meta, 'paused')
  if call('LLEN', base .. ':wait') + call('ZCARD', base .. ':prioritized') > 0 then wake(base) end
  wakeWhenDue(base)
end
event(base, 'event', pause and 'paused' or 'resumed')
return 1
`

/**
 * Changes the limits of a queue, in the fields of BullMQ. ARGV: `base`, then `concurrency`, `max` and `duration` of the rate: a number, `''`
 * to remove the limit, or `-` to keep it. A change of the rate begins a new period.
 */
export const SET_LIMITS = `${COMMON}
local base = ARGV[1]
local meta = base .. ':meta'
for index, field in ipairs({ 'concurrency', 'max', 'duration' }) do
  local value = ARGV[index + 1]
  if value == '' then
    call('HDEL', meta, field)
  elseif value ~= '-' then
    call('HSET', meta, field, value)
  end
end
if ARGV[3] ~= '-' then call('DEL', base .. ':limiter') end
if call('LLEN', base .. ':wait') + call('ZCARD', base .. ':prioritized') > 0 then wake(base) end
wakeWhenDue(base)
`

/**
 * Removes the oldest ended jobs of queues.
 *
 * ARGV: `1` to return the removed jobs, the milliseconds for which chosen ids are remembered after the end of a job, and then for each
 * queue: the sorted set, `base`, the score up to which jobs are removed, and the maximum number of jobs.
 *
 * Returns the number of removed jobs and, if requested, the sorted set, the stored id and `ALL_FIELDS` of each.
 *
 * Invariant: an id is remembered before its job is removed, in case the script fails in between.
 */
export const REMOVE_ENDED_JOBS = `${COMMON}${INDEX}
local forgotten, removed, returnsJobs, rememberFor = 0, {}, ARGV[1] == '1', tonumber(ARGV[2])

local function remember(base, id)
  local job = call('HMGET', base .. ':' .. id, 'nq:known', 'finishedOn')
  local left = job[1] and (tonumber(job[2]) or 0) + rememberFor - now
  if not left or left <= 0 then return 0 end
  call('SET', knownKey(base, id), job[1], 'PX', formatInteger(left))
  return now + left
end

for arg = 3, #ARGV, 4 do
  local set, base, upTo, limit = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  local ids, keys, suffixes = call('ZRANGE', set, '-inf', upTo, 'BYSCORE', 'LIMIT', 0, limit), {}, sideSuffixes(base)
  local last = 0
  local hasChosenIds = rememberFor > 0 and #ids > 0 and call('HEXISTS', base .. ':meta', 'nq:known') == 1
  for _, id in ipairs(ids) do
    if returnsJobs then removed[#removed + 1] = { set, id, unpack(call('HMGET', base .. ':' .. id, ${FIELDS})) } end
    if hasChosenIds then last = math.max(last, remember(base, id)) end
    keysOf(keys, base, id, suffixes)
  end
  if last > 0 and last > tonumber(call('HGET', base .. ':meta', 'nq:known-until') or 0) then
    call('HSET', base .. ':meta', 'nq:known-until', formatInteger(last))
  end
  unindex(base, ids)
  for from = 1, #keys, 1000 do call('UNLINK', unpack(keys, from, math.min(from + 999, #keys))) end
  if #ids > 0 then call('ZREMRANGEBYRANK', set, 0, #ids - 1) end
  forgotten = forgotten + #ids
end
return { forgotten, unpack(removed) }
`
