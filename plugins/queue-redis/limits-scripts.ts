const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local function text(number) return string.format('%.3f', number) end
`

/** How long, in milliseconds, a line is kept in which nobody asks again. */
const LINE_KEPT = 86_400_000
/** Milliseconds after which a reservation that nobody came back for is forgotten. */
const RESERVED_FOR = 3_600_000

/**
 * Places of a key: a sorted set of holders by when each lapses. The line: a sorted set by turn, with
 * the counter of turns and the newest `max` as members that no holder's can equal.
 */
export const ACQUIRE = `${NOW}
local places, line = KEYS[1], KEYS[2]
local max, ttl, holder = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
redis.call('ZADD', line, -max, 'max')
redis.call('PEXPIRE', line, math.max(${LINE_KEPT}, math.ceil(ttl)))
redis.call('ZREMRANGEBYSCORE', places, '-inf', text(now))
if redis.call('ZSCORE', places, holder) or redis.call('ZCARD', places) < max then
  redis.call('ZREM', line, '=' .. holder)
  redis.call('ZADD', places, text(now + ttl), holder)
  local last = redis.call('ZRANGE', places, -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', places, math.ceil(last))
  return 1
end
if not redis.call('ZSCORE', line, '=' .. holder) then
  local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', line, math.max(0, last) + 1, '=' .. holder)
end
return 0
`

/** Hands the places that are free to the first in line; answers them. */
export const RELEASE = `${NOW}
local places, line, holder = KEYS[1], KEYS[2], ARGV[1]
local lapses = redis.call('ZSCORE', places, holder)
redis.call('ZREM', places, holder)
redis.call('ZREM', line, '=' .. holder)
redis.call('ZREMRANGEBYSCORE', places, '-inf', text(now))
local max = -(redis.call('ZSCORE', line, 'max') or 0)
local free = max - redis.call('ZCARD', places)
local woken = {}
if free > 0 then
  for _, member in ipairs(redis.call('ZRANGE', line, 1, free)) do
    local nextHolder = string.sub(member, 2)
    redis.call('ZREM', line, member)
    redis.call('ZADD', places, text(math.max(lapses or 0, now + 1000)), nextHolder)
    woken[#woken + 1] = nextHolder
  end
end
local last = redis.call('ZRANGE', places, -1, -1, 'WITHSCORES')[2]
if last then
  redis.call('PEXPIREAT', places, math.ceil(last))
elseif redis.call('ZCARD', line) <= 1 then
  redis.call('DEL', line)
end
return woken
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
