import { CLAIMED_FIELDS } from './job-codec.ts'
import { COMMON } from './lua.ts'

/** How many arguments a settlement takes. */
const SETTLEMENT_ARGS = 7

/**
 * One turn of a consumer: settles what has run, and claims what may run next. BullMQ's worker does
 * the same job by job; here those of one moment share the call, which costs Redis a third.
 *
 * A settlement counts for who holds the job: whoever has its lock, or, where the lock lapsed and
 * nobody else has claimed it since, made its last claim.
 */
export const TURN = `${COMMON}
local base, holder, lease, want, settlements = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local active = base .. ':active'

-- What is the same for all settlements takes one call: each call costs more than what it does.
local lockKeys, locks, released, ended = {}, {}, {}, {}
for index = 1, settlements do
  lockKeys[index] = base .. ':' .. ARGV[6 + (index - 1) * ${SETTLEMENT_ARGS}] .. ':lock'
end
if settlements > 0 then locks = redis.call('MGET', unpack(lockKeys)) end

local function letGo(index, id, claim)
  local lock = locks[index]
  if lock ~= holder .. ':' .. claim and (lock or redis.call('HGET', base .. ':' .. id, 'ats') ~= claim) then return false end
  if redis.call('LREM', active, -1, id) == 0 then return false end
  released[#released + 1] = lockKeys[index]
  return true
end

local function finish(id, outcome, ...)
  redis.call('HSET', base .. ':' .. id, 'finishedOn', wholeNow, ...)
  local set = ended[outcome] or {}
  ended[outcome] = set
  set[#set + 1] = exactNow
  set[#set + 1] = id
end

local function admit(id, at, ...)
  local key = base .. ':' .. id
  local known = redis.call('HMGET', key, 'priority', 'nq:promoted', 'ats')
  if known[2] and known[2] == known[3] then at = now end
  redis.call('HSET', key, 'nq:at', whole(at), 'delay', whole(math.max(0, at - now)), ...)
  if at <= now then
    pushWaiting(base, id, tonumber(known[1] or 0))
    event(base, 'event', 'waiting', 'jobId', id, 'prev', 'active')
    return 'waiting'
  end
  pushDelayed(base, id, at)
  event(base, 'event', 'delayed', 'jobId', id, 'delay', whole(at))
  return 'delayed'
end

local settled, requeued, delayed = {}, false, false
for index = 1, settlements do
  local from = 5 + (index - 1) * ${SETTLEMENT_ARGS}
  local id, claim, kind, made = ARGV[from + 1], ARGV[from + 2], ARGV[from + 3], ARGV[from + 4]
  local a, b, c = ARGV[from + 5], ARGV[from + 6], ARGV[from + 7]
  local outcome = 'lost'
  if letGo(index, id, claim) then
    if kind == 'completed' then
      outcome = kind
      if a == '' then
        finish(id, kind, 'atm', made)
        a = 'null'
      else
        finish(id, kind, 'atm', made, 'returnvalue', a)
      end
      event(base, 'event', kind, 'jobId', id, 'returnvalue', a, 'prev', 'active')
    elseif kind == 'failed' then
      outcome = kind
      finish(id, kind, 'atm', made, 'failedReason', a, 'nq:error', b, 'stacktrace', c)
      event(base, 'event', kind, 'jobId', id, 'failedReason', a, 'prev', 'active')
      event(base, 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
    elseif kind == 'ended' then
      outcome = a
      finish(id, a, 'atm', made)
      event(base, 'event', a, 'jobId', id, a == 'completed' and 'returnvalue' or 'failedReason', 'null', 'prev', 'active')
    elseif kind == 'retry' then
      outcome = admit(id, tonumber(a), 'atm', made, 'failedReason', b, 'nq:error', c)
    else
      outcome = admit(id, tonumber(a))
      if b == '1' and tonumber(a) > now then
        local hold = tonumber(a) - now
        if redis.call('PTTL', base .. ':nq-hold') < hold then redis.call('SET', base .. ':nq-hold', 1, 'PX', whole(hold)) end
      end
    end
    requeued = requeued or outcome == 'waiting'
    delayed = delayed or outcome == 'delayed'
  end
  settled[index] = outcome
end
if #released > 0 then redis.call('DEL', unpack(released)) end
for outcome, members in pairs(ended) do redis.call('ZADD', setOf(base, outcome), unpack(members)) end

local due = redis.call('ZRANGEBYSCORE', base .. ':delayed', 0, (now + 1) * 4096 - 1, 'LIMIT', 0, 1000)
for _, id in ipairs(due) do
  redis.call('ZREM', base .. ':delayed', id)
  pushWaiting(base, id, tonumber(redis.call('HGET', base .. ':' .. id, 'priority') or 0))
  redis.call('HSET', base .. ':' .. id, 'delay', 0)
  event(base, 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
end

local meta = redis.call('HMGET', base .. ':meta', 'paused', 'concurrency')
if meta[2] then want = math.min(want, meta[2] - redis.call('LLEN', active)) end
local hold = redis.call('PTTL', base .. ':nq-hold')
if meta[1] or hold > 0 then want = 0 end

local ids = {}
local function take(taken)
  if not taken or #taken == 0 then return end
  for _, id in ipairs(taken) do ids[#ids + 1] = id end
  redis.call('LPUSH', active, unpack(taken))
end
if want > 0 then
  local urgent = redis.call('ZRANGEBYSCORE', base .. ':prioritized', '-inf', '(0', 'LIMIT', 0, want)
  if #urgent > 0 then redis.call('ZREM', base .. ':prioritized', unpack(urgent)) end
  take(urgent)
  if #ids < want then take(redis.call('RPOP', base .. ':wait', want - #ids)) end
  if #ids < want then
    local others = redis.call('ZRANGE', base .. ':prioritized', 0, want - #ids - 1)
    if #others > 0 then redis.call('ZREM', base .. ':prioritized', unpack(others)) end
    take(others)
  end
end

local claimed = {}
for _, id in ipairs(ids) do
  local key = base .. ':' .. id
  local fields = redis.call('HMGET', key, 'ats', ${CLAIMED_FIELDS.map((field) => `'${field}'`).join(', ')})
  if fields[4] then
    local claim = fields[1] and whole(fields[1] + 1) or '1'
    redis.call('HSET', key, 'ats', claim, 'processedOn', wholeNow)
    redis.call('SET', key .. ':lock', holder .. ':' .. claim, 'PX', lease)
    event(base, 'event', 'active', 'jobId', id, 'prev', 'waiting')
    claimed[#claimed + 1] = id
    fields[1] = claim
    claimed[#claimed + 1] = fields
  else
    redis.call('LREM', active, 1, id)
  end
end

local full = want > 0 and #ids == want
if (full or requeued or #due > 0) and (redis.call('LLEN', base .. ':wait') > 0 or redis.call('ZCARD', base .. ':prioritized') > 0) then
  wake(base)
end
if settlements > 0 or #ids > 0 then trimEvents(base) end
local nextDue = redis.call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')[2]
if delayed then wakeWhenDue(base) end
if settlements > 0 and #ids == 0 and redis.call('LLEN', base .. ':wait') == 0 and redis.call('LLEN', active) == 0 then
  event(base, 'event', 'drained')
end
return { wholeNow, settled, claimed, hold, nextDue and whole(math.floor(nextDue / 4096)) or '' }
`

/** Extends the locks of what a consumer runs; answers the ids that are somebody else's now. */
export const RENEW = `
local base, holder, lease = ARGV[1], ARGV[2], ARGV[3]
local lost = {}
for index = 4, #ARGV, 2 do
  local id, claim = ARGV[index], ARGV[index + 1]
  local key = base .. ':' .. id
  local lock = redis.call('GET', key .. ':lock')
  local mine = lock == holder .. ':' .. claim
  -- The store was away for longer than a lease, and nobody else came.
  if not lock then mine = redis.call('HGET', key, 'ats') == claim and redis.call('LPOS', base .. ':active', id) end
  if mine then
    redis.call('SET', key .. ':lock', holder .. ':' .. claim, 'PX', lease)
    redis.call('SREM', base .. ':stalled', id)
  else
    lost[#lost + 1] = id
  end
end
return lost
`

/** Puts active jobs that nobody holds in front of those that wait. Once per interval, whoever asks. */
export const RECLAIM = `${COMMON}
local base, interval = ARGV[1], ARGV[2]
if not redis.call('SET', base .. ':nq-reclaim', 1, 'PX', interval, 'NX') then return {} end
local reclaimed = {}
for _, id in ipairs(redis.call('LRANGE', base .. ':active', 0, -1)) do
  local key = base .. ':' .. id
  if redis.call('EXISTS', key .. ':lock') == 0 and redis.call('LREM', base .. ':active', 1, id) > 0 then
    if redis.call('EXISTS', key) == 1 then
      redis.call('HINCRBY', key, 'stc', 1)
      local priority = tonumber(redis.call('HGET', key, 'priority') or 0)
      if priority == 0 then redis.call('RPUSH', base .. ':wait', id) else pushWaiting(base, id, priority) end
      event(base, 'event', 'waiting', 'jobId', id, 'prev', 'active')
      event(base, 'event', 'stalled', 'jobId', id)
      reclaimed[#reclaimed + 1] = id
    end
  end
end
if #reclaimed > 0 then wake(base) end
return reclaimed
`

/** Jobs whose locks name a consumer although it does not know of them: the answer to its claim was lost. */
export const RECOVER = `
local base, holder = ARGV[1], ARGV[2]
local known = {}
for index = 3, #ARGV do known[ARGV[index]] = true end
local dropped = 0
for _, id in ipairs(redis.call('LRANGE', base .. ':active', 0, -1)) do
  if not known[id] then
    local lock = redis.call('GET', base .. ':' .. id .. ':lock')
    if lock and string.sub(lock, 1, #holder + 1) == holder .. ':' then
      redis.call('DEL', base .. ':' .. id .. ':lock')
      if redis.call('LREM', base .. ':active', 1, id) > 0 then redis.call('RPUSH', base .. ':wait', id) end
      dropped = dropped + 1
    end
  end
end
if dropped > 0 then redis.call('ZADD', base .. ':marker', 0, '0') end
return dropped
`

export const PROGRESS = `
local base, id, token, value = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('GET', base .. ':' .. id .. ':lock') ~= token then return 0 end
redis.call('HSET', base .. ':' .. id, 'progress', value)
redis.call('XADD', base .. ':events', 'MAXLEN', '~', 10000, '*', 'event', 'progress', 'jobId', id, 'data', value)
return 1
`
