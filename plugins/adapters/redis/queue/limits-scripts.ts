const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local function text(number) return string.format('%.3f', number) end
`

/** How long, in milliseconds, a line is kept in which nobody asks again. */
const LINE_KEPT = 86_400_000
/** Milliseconds that a permit stays with whom it was handed to, unless a sweep finds it first. */
const HANDED_FOR = 60_000
/** Milliseconds after which a reservation that nobody came back for is forgotten. */
const RESERVED_FOR = 3_600_000

/**
 * What a key has: `permits`, a sorted set of holders by when each lapses; `claims`, a hash of the claim that has
 * each permit, or below zero the moment at which it was handed on to somebody who has not taken it up; `line`, a
 * sorted set by turn, with the counter of turns and the newest `max` as members that no holder's can equal.
 */
const PERMITS = `${NOW}
local permits, line, claims = KEYS[1], KEYS[2], KEYS[3]

local function give(holder, ttl, claim)
  redis.call('ZADD', permits, text(now + ttl), holder)
  redis.call('HSET', claims, holder, claim)
end

local function drop(holder)
  redis.call('ZREM', permits, holder)
  redis.call('HDEL', claims, holder)
end

local function dropLapsed()
  for _, holder in ipairs(redis.call('ZRANGEBYSCORE', permits, '-inf', text(now))) do drop(holder) end
end

-- Permits of earlier releases have no claim.
local function hasNewer(holder, claim)
  return redis.call('ZSCORE', permits, holder) and tonumber(redis.call('HGET', claims, holder) or 1) > claim
end

local function keep()
  local last = redis.call('ZRANGE', permits, -1, -1, 'WITHSCORES')[2]
  if not last then return end
  redis.call('PEXPIREAT', permits, math.ceil(last))
  redis.call('PEXPIREAT', claims, math.ceil(last))
end

-- Hands permits that are free to the first in line.
local function handOn()
  dropLapsed()
  local max = -(redis.call('ZSCORE', line, 'max') or 0)
  local free = max - redis.call('ZCARD', permits)
  local handed = {}
  if free > 0 then
    for _, member in ipairs(redis.call('ZRANGE', line, 1, free)) do
      local holder = string.sub(member, 2)
      redis.call('ZREM', line, member)
      give(holder, ${HANDED_FOR}, string.format('%.0f', -now))
      handed[#handed + 1] = holder
    end
  end
  if redis.call('ZCARD', permits) > 0 then
    keep()
  elseif redis.call('ZCARD', line) <= 1 then
    redis.call('DEL', line)
  end
  return handed
end
`

/** 1: has a permit, 0: waits in line, 2: a newer claim has it. */
export const ACQUIRE = `${PERMITS}
local max, ttl, holder, claim = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
redis.call('ZADD', line, -max, 'max')
redis.call('PEXPIRE', line, math.max(${LINE_KEPT}, math.ceil(ttl)))
dropLapsed()
if hasNewer(holder, claim) then return 2 end
if redis.call('ZSCORE', permits, holder) or redis.call('ZCARD', permits) < max then
  redis.call('ZREM', line, '=' .. holder)
  give(holder, ttl, claim)
  keep()
  return 1
end
if not redis.call('ZSCORE', line, '=' .. holder) then
  local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', line, math.max(0, last) + 1, '=' .. holder)
end
return 0
`

/** Returns the holders that are handed a permit. */
export const RELEASE = `${PERMITS}
local holder, claim = ARGV[1], tonumber(ARGV[2])
if claim and hasNewer(holder, claim) then return {} end
drop(holder)
if not claim then redis.call('ZREM', line, '=' .. holder) end
return handOn()
`

/** Whether the claim still has its permit: one that lapsed and that nobody else needs, it gets back. */
export const RENEW_PERMIT = `${PERMITS}
local max, ttl, holder, claim = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if hasNewer(holder, claim) then return 0 end
dropLapsed()
if not redis.call('ZSCORE', permits, holder) and redis.call('ZCARD', permits) >= max then return 0 end
give(holder, ttl, claim)
keep()
return 1
`

/** How many wait or have not taken up what they were handed, and those who have to be woken. */
export const CHECK_KEY = `${PERMITS}
local age = tonumber(ARGV[1])
local pending, found = 0, {}
local all = redis.call('HGETALL', claims)
for index = 1, #all, 2 do
  local holder, claim = all[index], tonumber(all[index + 1])
  if claim <= 0 and redis.call('ZSCORE', permits, holder) then
    pending = pending + 1
    if -claim <= now - age then
      give(holder, ${HANDED_FOR}, string.format('%.0f', -now))
      found[#found + 1] = holder
    end
  end
end
for _, holder in ipairs(handOn()) do
  pending = pending + 1
  found[#found + 1] = holder
end
if redis.call('EXISTS', line) == 1 then
  pending = pending + redis.call('ZCARD', line) - 1
  redis.call('PEXPIRE', line, ${LINE_KEPT})
end
return { pending, found }
`

/** Keys that nobody has looked at for a while: whoever asks looks at them, and nobody else for that long. */
export const DUE_KEYS = `${NOW}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now - ARGV[1]), 'LIMIT', 0, ARGV[2])
for _, name in ipairs(due) do redis.call('ZADD', KEYS[1], text(now), name) end
return due
`

/**
 * Starts that happened decide, those that are reserved only plan ahead: both sorted sets by moment,
 * with a counter to tell equal moments apart. Reservations: holders by the moment reserved.
 */
export const TAKE = `${NOW}
local starts, planned, reserved = KEYS[1], KEYS[2], KEYS[3]
local max, duration, holder = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
redis.call('ZREMRANGEBYSCORE', starts, '-inf', text(now - duration))
redis.call('ZREMRANGEBYSCORE', planned, '-inf', text(now - duration))

local function nextStart(key)
  local count = redis.call('ZCARD', key)
  if count < max then return now end
  local before = redis.call('ZRANGE', key, count - max, count - max, 'WITHSCORES')[2]
  return math.max(now, before + duration)
end

local function add(key, at)
  local member = text(at)
  local turn = 0
  while redis.call('ZSCORE', key, member) do
    turn = turn + 1
    member = text(at) .. ':' .. turn
  end
  redis.call('ZADD', key, text(at), member)
end

local mine = holder and tonumber(redis.call('ZSCORE', reserved, holder) or nil)
if mine and mine > now then return tostring(math.ceil(mine - now)) end
local free = nextStart(starts)
local at = free
if not mine then at = math.max(free, nextStart(planned)) end
if at > now and not holder then return tostring(math.ceil(at - now)) end
if mine then
  local old = redis.call('ZRANGEBYSCORE', planned, text(mine), text(mine), 'LIMIT', 0, 1)[1]
  if old then redis.call('ZREM', planned, old) end
end
add(planned, at)
if at > now then
  redis.call('ZREMRANGEBYSCORE', reserved, '-inf', text(now - ${RESERVED_FOR}))
  redis.call('ZADD', reserved, text(at), holder)
else
  if mine then redis.call('ZREM', reserved, holder) end
  add(starts, now)
end
local function keep(key, extra)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  if last then redis.call('PEXPIREAT', key, math.ceil(last + extra)) end
end
keep(starts, duration)
keep(planned, duration)
keep(reserved, ${RESERVED_FOR})
return tostring(at > now and math.ceil(at - now) or 0)
`
