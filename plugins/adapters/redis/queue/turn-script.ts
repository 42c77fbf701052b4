import { FRESH_FIELDS, USED_FIELDS } from './job-codec.ts'
import { COMMON, quoted } from './lua.ts'

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
local prefix, active, events, token = base .. ':', base .. ':active', base .. ':events', holder .. ':'

-- What is the same for all settlements takes one call: each call costs more than what it does.
local keys, lockKeys, locks, released, ended = {}, {}, {}, {}, {}
for index = 1, settlements do
  local key = prefix .. ARGV[6 + (index - 1) * ${SETTLEMENT_ARGS}]
  keys[index] = key
  lockKeys[index] = key .. ':lock'
end
if settlements > 0 then locks = call('MGET', unpack(lockKeys)) end

local function letGo(index, id, claim)
  local lock = locks[index]
  if lock ~= token .. claim and (lock or call('HGET', keys[index], 'ats') ~= claim) then return false end
  if call('LREM', active, -1, id) == 0 then return false end
  released[#released + 1] = lockKeys[index]
  return true
end

local function finish(key, id, outcome, ...)
  call('HSET', key, 'finishedOn', wholeNow, ...)
  -- A client of BullMQ that retries it leaves this, so that it is not taken for one that still runs.
  if outcome == 'failed' then call('HSET', key, 'nq:ended', 1) end
  local set = ended[outcome]
  if set then
    local size = #set
    set[size + 1], set[size + 2] = exactNow, id
  else
    ended[outcome] = { exactNow, id }
  end
end

local function admit(key, id, at, ...)
  local known = call('HMGET', key, 'priority', 'nq:promoted', 'ats')
  if known[2] and known[2] == known[3] then at = now end
  call('HSET', key, 'nq:at', whole(at), 'delay', whole(math.max(0, at - now)), ...)
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
  local key, outcome = keys[index], 'lost'
  if kind == 'lost' then
    -- Whoever took it has counted a crash, and its process lives.
    if tonumber(call('HGET', key, 'stc') or 0) > 0 then
      call('HINCRBY', key, 'stc', -1)
      call('HINCRBY', key, 'nq:lapses', 1)
    end
  elseif letGo(index, id, claim) then
    if kind == 'completed' then
      outcome = kind
      if a == '' then
        finish(key, id, kind, 'atm', made)
        a = 'null'
      else
        finish(key, id, kind, 'atm', made, 'returnvalue', a)
      end
      call('XADD', events, '*', 'event', kind, 'jobId', id, 'returnvalue', a, 'prev', 'active')
    elseif kind == 'failed' then
      outcome = kind
      finish(key, id, kind, 'atm', made, 'failedReason', a, 'nq:error', b, 'stacktrace', c)
      event(base, 'event', kind, 'jobId', id, 'failedReason', a, 'prev', 'active')
      event(base, 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
    elseif kind == 'ended' then
      outcome = a
      if b == '' then
        finish(key, id, a, 'atm', made)
        b = 'null'
      elseif a == 'completed' then
        finish(key, id, a, 'atm', made, 'returnvalue', b)
      else
        finish(key, id, a, 'atm', made, 'failedReason', b, 'nq:error', c)
      end
      event(base, 'event', a, 'jobId', id, a == 'completed' and 'returnvalue' or 'failedReason', b, 'prev', 'active')
    elseif kind == 'retry' then
      outcome = admit(key, id, tonumber(a), 'atm', made, 'failedReason', b, 'nq:error', c)
    else
      if c == '1' then call('HINCRBY', key, 'stc', 1) end
      outcome = admit(key, id, tonumber(a))
      if b == '1' and tonumber(a) > now then
        local hold = tonumber(a) - now
        if call('PTTL', base .. ':nq-hold') < hold then call('SET', base .. ':nq-hold', 1, 'PX', whole(hold)) end
      end
    end
    requeued = requeued or outcome == 'waiting'
    delayed = delayed or outcome == 'delayed'
  end
  settled[index] = outcome
end
if #released > 0 then call('DEL', unpack(released)) end
for outcome, members in pairs(ended) do call('ZADD', setOf(base, outcome), unpack(members)) end

local due = call('ZRANGEBYSCORE', base .. ':delayed', 0, (now + 1) * 4096 - 1, 'LIMIT', 0, 1000)
for _, id in ipairs(due) do
  call('ZREM', base .. ':delayed', id)
  pushWaiting(base, id, tonumber(call('HGET', base .. ':' .. id, 'priority') or 0))
  call('HSET', base .. ':' .. id, 'delay', 0)
  event(base, 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
end

local meta = call('HMGET', base .. ':meta', 'paused', 'concurrency')
if meta[2] then want = math.min(want, meta[2] - call('LLEN', active)) end
local hold = call('PTTL', base .. ':nq-hold')
if meta[1] or hold > 0 then want = 0 end

local ids = {}
local function take(taken)
  if not taken or #taken == 0 then return end
  for _, id in ipairs(taken) do ids[#ids + 1] = id end
  call('LPUSH', active, unpack(taken))
end
if want > 0 then
  local urgent = call('ZRANGEBYSCORE', base .. ':prioritized', '-inf', '(0', 'LIMIT', 0, want)
  if #urgent > 0 then call('ZREM', base .. ':prioritized', unpack(urgent)) end
  take(urgent)
  if #ids < want then take(call('RPOP', base .. ':wait', want - #ids)) end
  if #ids < want then
    local others = call('ZRANGE', base .. ':prioritized', 0, want - #ids - 1)
    if #others > 0 then call('ZREM', base .. ':prioritized', unpack(others)) end
    take(others)
  end
end

local claimed, count = {}, 0
for _, id in ipairs(ids) do
  local key = prefix .. id
  local fields = call('HMGET', key, 'ats', ${quoted(FRESH_FIELDS)})
  if fields[4] then
    local claim = '1'
    if fields[1] then
      claim = whole(fields[1] + 1)
      if call('HDEL', key, 'nq:ended') == 1 then
        call('HDEL', key, 'failedReason', 'stacktrace', 'nq:error', 'progress')
        call('HSET', key, 'atm', 0, 'stc', 0)
        call('HINCRBY', key, 'nq:round', 1)
      end
      local used = call('HMGET', key, ${quoted(USED_FIELDS)})
      for index = 1, ${USED_FIELDS.length} do fields[${FRESH_FIELDS.length + 1} + index] = used[index] end
    end
    call('HSET', key, 'ats', claim, 'processedOn', wholeNow)
    call('SET', key .. ':lock', token .. claim, 'PX', lease)
    call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    fields[1] = claim
    claimed[count + 1], claimed[count + 2], count = id, fields, count + 2
  else
    call('LREM', active, 1, id)
  end
end

local full = want > 0 and #ids == want
if (full or requeued or #due > 0) and (call('LLEN', base .. ':wait') > 0 or call('ZCARD', base .. ':prioritized') > 0) then
  wake(base)
end
if settlements > 0 or #ids > 0 then trimEvents(base) end
local nextDue = call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')[2]
if delayed then wakeWhenDue(base) end
if settlements > 0 and #ids == 0 and call('LLEN', base .. ':wait') == 0 and call('LLEN', active) == 0 then
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
if not call('SET', base .. ':nq-reclaim', 1, 'PX', interval, 'NX') then return {} end
local reclaimed = {}
for _, id in ipairs(call('LRANGE', base .. ':active', 0, -1)) do
  local key = base .. ':' .. id
  if call('EXISTS', key .. ':lock') == 0 and call('LREM', base .. ':active', 1, id) > 0 then
    if call('EXISTS', key) == 1 then
      call('HINCRBY', key, 'stc', 1)
      local priority = tonumber(call('HGET', key, 'priority') or 0)
      if priority == 0 then call('RPUSH', base .. ':wait', id) else pushWaiting(base, id, priority) end
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
