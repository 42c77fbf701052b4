const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local function text(number) return string.format('%.3f', number) end
`

/** How long waiters are kept after the last request for a key, in milliseconds. */
const WAITERS_KEPT_FOR = 86_400_000
/** How long a permit stays assigned to a waiter that does not take it, in milliseconds, unless a sweep renews it. */
const ASSIGNED_FOR = 60_000
/** A reservation that its owner does not use is dropped this many milliseconds after its moment. */
const RESERVED_FOR = 3_600_000

/**
 * The Lua functions of permits. Each limit key has three keys in Redis, which are the KEYS of every script:
 *
 * - `permits` (stored as `places`): a sorted set of holders by the moment at which their permits expire.
 * - `waiters` (stored as `line`): a sorted set of waiters in their order. A waiter is stored as `=<holder>`. The member `max` has the
 *   negative maximum of permits as its score, so it always comes first.
 * - `claims`: a hash. For each holder, it has the number of the claim that uses the permit. A negative number is the moment at which the
 *   permit was assigned to a waiter that has not taken it yet.
 *
 *     waiter ── handOn() ──> assigned ── ACQUIRE ──> in use ── RELEASE ──> free
 *                               └── not taken in time ──> free <── expired ──┘
 */
const PERMITS = `${NOW}
local permits, waiters, claims = KEYS[1], KEYS[2], KEYS[3]

local function give(holder, ttl, claim)
  redis.call('ZADD', permits, text(now + ttl), holder)
  redis.call('HSET', claims, holder, claim)
end

local function drop(holder)
  redis.call('ZREM', permits, holder)
  redis.call('HDEL', claims, holder)
end

local function dropExpired()
  for _, holder in ipairs(redis.call('ZRANGEBYSCORE', permits, '-inf', text(now))) do drop(holder) end
end

-- Returns true if a newer claim of the same holder has the permit. Permits of earlier releases have no claim; they count as claim 1.
local function hasNewer(holder, claim)
  return redis.call('ZSCORE', permits, holder) and tonumber(redis.call('HGET', claims, holder) or 1) > claim
end

-- Lets the keys expire with the last permit.
local function expireKeys()
  local last = redis.call('ZRANGE', permits, -1, -1, 'WITHSCORES')[2]
  if not last then return end
  redis.call('PEXPIREAT', permits, math.ceil(last))
  redis.call('PEXPIREAT', claims, math.ceil(last))
end

-- Assigns free permits to the first waiters. Returns their holders.
local function handOn()
  dropExpired()
  local max = -(redis.call('ZSCORE', waiters, 'max') or 0)
  local free = max - redis.call('ZCARD', permits)
  local handed = {}
  if free > 0 then
    for _, member in ipairs(redis.call('ZRANGE', waiters, 1, free)) do
      local holder = string.sub(member, 2)
      redis.call('ZREM', waiters, member)
      give(holder, ${ASSIGNED_FOR}, string.format('%.0f', -now))
      handed[#handed + 1] = holder
    end
  end
  if redis.call('ZCARD', permits) > 0 then
    expireKeys()
  elseif redis.call('ZCARD', waiters) <= 1 then
    redis.call('DEL', waiters)
  end
  return handed
end
`

/**
 * Acquires a permit. ARGV: the maximum of permits, the lifetime of the permit in milliseconds, the holder, the claim.
 *
 * Returns 1 if the claim has the permit, 0 if the holder waits, 2 if a newer claim of the holder has the permit.
 */
export const ACQUIRE = `${PERMITS}
local max, ttl, holder, claim = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
redis.call('ZADD', waiters, -max, 'max')
redis.call('PEXPIRE', waiters, math.max(${WAITERS_KEPT_FOR}, math.ceil(ttl)))
dropExpired()
if hasNewer(holder, claim) then return 2 end
if redis.call('ZSCORE', permits, holder) or redis.call('ZCARD', permits) < max then
  redis.call('ZREM', waiters, '=' .. holder)
  give(holder, ttl, claim)
  expireKeys()
  return 1
end
if not redis.call('ZSCORE', waiters, '=' .. holder) then
  local last = redis.call('ZRANGE', waiters, -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', waiters, math.max(0, last) + 1, '=' .. holder)
end
return 0
`

/**
 * Releases a permit. ARGV: the holder, the claim (`''` to stop waiting as well). Returns the holders to which free permits were assigned.
 */
export const RELEASE = `${PERMITS}
local holder, claim = ARGV[1], tonumber(ARGV[2])
if claim and hasNewer(holder, claim) then return {} end
drop(holder)
if not claim then redis.call('ZREM', waiters, '=' .. holder) end
return handOn()
`

/**
 * Renews a permit. If the permit expired and is still free, the claim gets it back. ARGV: the maximum of permits, the lifetime in
 * milliseconds, the holder, the claim. Returns 1 if the claim has the permit, or else 0.
 */
export const RENEW_PERMIT = `${PERMITS}
local max, ttl, holder, claim = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if hasNewer(holder, claim) then return 0 end
dropExpired()
if not redis.call('ZSCORE', permits, holder) and redis.call('ZCARD', permits) >= max then return 0 end
give(holder, ttl, claim)
expireKeys()
return 1
`

/**
 * Checks a key for waiters that have to be woken. ARGV: the age in milliseconds after which an assigned permit that was not taken is
 * reported again.
 *
 * Returns the number of waiters and of permits that were not taken yet, and the holders to wake.
 */
export const CHECK_KEY = `${PERMITS}
local age = tonumber(ARGV[1])
local pending, found = 0, {}
local all = redis.call('HGETALL', claims)
for index = 1, #all, 2 do
  local holder, claim = all[index], tonumber(all[index + 1])
  if claim <= 0 and redis.call('ZSCORE', permits, holder) then
    pending = pending + 1
    if -claim <= now - age then
      give(holder, ${ASSIGNED_FOR}, string.format('%.0f', -now))
      found[#found + 1] = holder
    end
  end
end
for _, holder in ipairs(handOn()) do
  pending = pending + 1
  found[#found + 1] = holder
end
if redis.call('EXISTS', waiters) == 1 then
  pending = pending + redis.call('ZCARD', waiters) - 1
  redis.call('PEXPIRE', waiters, ${WAITERS_KEPT_FOR})
end
return { pending, found }
`

/**
 * Returns keys that no process has checked for a while, and marks them as checked now. KEYS: the sorted set of keys by the moment of their
 * last check. ARGV: the minimum time since the last check in milliseconds, the maximum number of keys.
 */
export const DUE_KEYS = `${NOW}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now - ARGV[1]), 'LIMIT', 0, ARGV[2])
for _, name in ipairs(due) do redis.call('ZADD', KEYS[1], text(now), name) end
return due
`

/**
 * Takes a start of a rate limit.
 *
 * KEYS: `starts`, a sorted set of the moments of actual starts; `planned`, a sorted set of the moments of actual and reserved starts;
 * `reserved`, the holders by the moments reserved for them. The first two have a counter in their members to distinguish equal moments.
 *
 * ARGV: the maximum of starts in a period, the period in milliseconds, the holder (absent: no reservation is made).
 *
 * Returns 0 if the holder may start now, or else the milliseconds to wait.
 *
 * Invariant: only actual starts count against the limit. Reserved starts are a plan.
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
  local number = 0
  while redis.call('ZSCORE', key, member) do
    number = number + 1
    member = text(at) .. ':' .. number
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
local function expireKey(key, extra)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  if last then redis.call('PEXPIREAT', key, math.ceil(last + extra)) end
end
expireKey(starts, duration)
expireKey(planned, duration)
expireKey(reserved, ${RESERVED_FOR})
return tostring(at > now and math.ceil(at - now) or 0)
`

/** Takes back the newest start of a rate limit. KEYS: `starts` and `planned`, as for `TAKE`. */
export const TAKE_BACK = `
local last = redis.call('ZPOPMAX', KEYS[1])
if not last[1] then return 0 end
local planned = redis.call('ZRANGEBYSCORE', KEYS[2], last[2], last[2], 'LIMIT', 0, 1)[1]
if planned then redis.call('ZREM', KEYS[2], planned) end
return 1
`
