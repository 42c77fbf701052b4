import { ALL_FIELDS } from './job-codec.ts'
import { COMMON, quoted } from './lua.ts'

const FIELDS = quoted(ALL_FIELDS)

/**
 * Adds jobs, of one queue or many: all at once. For each: where it went, or the options of the one that has its id, kept
 * or forgotten. What is known of a job once it is forgotten travels along, as its field \`nq:known\`, where a caller gave
 * its id; the meta of a queue says whether it has such jobs, and until when one that is forgotten is known, so that others
 * cost nothing.
 */
export const ADD = `${COMMON}
local out, queues, knows = {}, {}, {}

-- What is known of a job that was forgotten.
local function knownOf(base, id)
  if knows[base] == nil then
    local meta = call('HMGET', base .. ':meta', 'nq:known', 'nq:known-until')
    if not meta[1] then call('HSET', base .. ':meta', 'nq:known', '1') end
    knows[base] = tonumber(meta[2] or 0) > now
  end
  return knows[base] and call('GET', knownKey(base, id))
end

for index = 1, #ARGV, 9 do
  local base, id, name, data, opts = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3], ARGV[index + 4]
  local created, at, priority = ARGV[index + 5], tonumber(ARGV[index + 6]), ARGV[index + 7]
  local known = ARGV[index + 8]
  local key = base .. ':' .. id
  local there = call('EXISTS', key) == 1 and (call('HGET', key, 'opts') or '{}')
    or (known ~= '' and knownOf(base, id))
  if there then
    out[#out + 1] = there
    event(base, 'event', 'duplicated', 'jobId', id)
  else
    local later = at > now and at > tonumber(created)
    local delay = later and whole(at - now) or '0'
    call('HSET', key, 'name', name, 'data', data, 'opts', opts, 'timestamp', created, 'delay', delay,
      'priority', priority)
    if known ~= '' then call('HSET', key, 'nq:known', known) end
    if at ~= tonumber(created) then call('HSET', key, 'nq:at', whole(at)) end
    event(base, 'event', 'added', 'jobId', id, 'name', name)
    queues[base] = queues[base] or {}
    if later then
      pushDelayed(base, id, at)
      event(base, 'event', 'delayed', 'jobId', id, 'delay', whole(at))
      queues[base].delayed = true
      out[#out + 1] = 'delayed'
    else
      pushWaiting(base, id, tonumber(priority))
      event(base, 'event', 'waiting', 'jobId', id)
      queues[base].waiting = true
      out[#out + 1] = 'waiting'
    end
  end
end
for base, added in pairs(queues) do
  if added.waiting then wake(base) end
  if added.delayed then wakeWhenDue(base) end
  trimEvents(base)
end
return out
`

/** Stored id, state and fields of a job, or nothing. */
export const GET = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return {} end
return { id, stateOf(base, id), unpack(call('HMGET', base .. ':' .. id, ${FIELDS})) }
`

/** How many jobs lie in structures of a queue, given as name and kind. */
export const SIZES = `
local base, sizes = ARGV[1], {}
for at = 2, #ARGV, 2 do
  sizes[#sizes + 1] = redis.call(ARGV[at + 1] == 'list' and 'LLEN' or 'ZCARD', base .. ':' .. ARGV[at])
end
return sizes
`

/** Ids and fields of jobs of a queue. */
export const MANY = `
local base, out = ARGV[1], {}
for at = 2, #ARGV do
  out[at - 1] = { ARGV[at], unpack(redis.call('HMGET', base .. ':' .. ARGV[at], ${FIELDS})) }
end
return out
`

/** A page of one of the structures of a queue, oldest first: stored id and fields of each job, or only when it was created. */
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

/** Ends a job that waits. */
export const CANCEL = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id or unline(base, id) == 0 then return 0 end
call('HSET', base .. ':' .. id, 'finishedOn', whole(now))
call('ZADD', base .. ':nq-cancelled', exactNow, id)
event(base, 'event', 'cancelled', 'jobId', id)
return 1
`

/** Queues an ended job again: `ok`, or the state that does not allow it, or nothing. */
export const RETRY = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return '' end
local state = stateOf(base, id)
if state ~= 'failed' and state ~= 'cancelled' then return state end
local key = base .. ':' .. id
call('ZREM', setOf(base, state), id)
call('HDEL', key, 'finishedOn', 'failedReason', 'stacktrace', 'returnvalue', 'nq:error', 'nq:ended', 'progress')
call('HSET', key, 'atm', 0, 'stc', 0, 'nq:at', whole(now), 'delay', 0)
call('HINCRBY', key, 'nq:round', 1)
-- Whoever claims it next has to see that it is not a fresh one, even if nobody has claimed it yet.
call('HSETNX', key, 'ats', 0)
pushWaiting(base, id, tonumber(call('HGET', key, 'priority') or 0))
event(base, 'event', 'waiting', 'jobId', id, 'prev', state)
wake(base)
return 'ok'
`

/** Makes a delayed job due, or the next deferral of an active one last no time. */
export const PROMOTE = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return '' end
local key = base .. ':' .. id
if call('ZREM', base .. ':delayed', id) == 1 then
  call('HSET', key, 'nq:at', whole(now), 'delay', 0)
  pushWaiting(base, id, tonumber(call('HGET', key, 'priority') or 0))
  event(base, 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
  wake(base)
  return 'waiting'
end
if stateOf(base, id) ~= 'active' then return '' end
call('HSET', key, 'nq:promoted', call('HGET', key, 'ats') or 0)
return 'active'
`

/** The options of a job that was forgotten and is still known. */
export const KNOWN = `${COMMON}
return call('GET', knownKey(ARGV[1], ARGV[2]))
`

/** Forgets a job that is not active, and frees its id: `ok`, `active`, `known` for one that was forgotten, or nothing. */
export const REMOVE = `${COMMON}
local base = ARGV[1]
local id = find(base, ARGV[2], ARGV[3])
if not id then return call('DEL', knownKey(base, ARGV[2])) == 1 and 'known' or '' end
if stateOf(base, id) == 'active' then return 'active' end
unline(base, id)
for _, outcome in ipairs({ 'completed', 'failed', 'cancelled' }) do call('ZREM', setOf(base, outcome), id) end
dropKeys(base, id)
event(base, 'event', 'removed', 'jobId', id)
return 'ok'
`

/** Pauses or resumes a queue, as BullMQ does; answers whether it was not yet. */
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
 * Forgets the jobs of queues that ended first, given as sorted set, base, up to which moment and how
 * many at most. Ids that callers gave stay known for so many milliseconds from the end: they are kept before the jobs
 * go, should the script fail between. Returns how many, and of each, when asked for: its set, stored id and fields.
 */
export const FORGET = `${COMMON}
local forgotten, told, tell, rememberFor = 0, {}, ARGV[1] == '1', tonumber(ARGV[2])

local function remember(base, id)
  local job = call('HMGET', base .. ':' .. id, 'nq:known', 'finishedOn')
  local left = job[1] and (tonumber(job[2]) or 0) + rememberFor - now
  if not left or left <= 0 then return 0 end
  call('SET', knownKey(base, id), job[1], 'PX', whole(left))
  return now + left
end

for at = 3, #ARGV, 4 do
  local set, base, upTo, limit = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local ids, keys, sides = call('ZRANGE', set, '-inf', upTo, 'BYSCORE', 'LIMIT', 0, limit), {}, sidesOf(base)
  local last = 0
  local named = rememberFor > 0 and #ids > 0 and call('HEXISTS', base .. ':meta', 'nq:known') == 1
  for _, id in ipairs(ids) do
    if tell then told[#told + 1] = { set, id, unpack(call('HMGET', base .. ':' .. id, ${FIELDS})) } end
    if named then last = math.max(last, remember(base, id)) end
    keysOf(keys, base, id, sides)
  end
  if last > 0 and last > tonumber(call('HGET', base .. ':meta', 'nq:known-until') or 0) then
    call('HSET', base .. ':meta', 'nq:known-until', whole(last))
  end
  for from = 1, #keys, 1000 do call('UNLINK', unpack(keys, from, math.min(from + 999, #keys))) end
  if #ids > 0 then call('ZREMRANGEBYRANK', set, 0, #ids - 1) end
  forgotten = forgotten + #ids
end
return { forgotten, unpack(told) }
`
