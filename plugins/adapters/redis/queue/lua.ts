/** Names as arguments of a call in Lua. */
export const quoted = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ')

/**
 * What the scripts of a queue share. They work on BullMQ's keys, as its own scripts do: `wait` is a
 * list of jobs without priority, new ones on the left; `prioritized`, `delayed`, `completed` and
 * `failed` are sorted sets; `active` is a list; `marker` wakes a worker that waits for work; `events`
 * is the stream of `QueueEvents`. Keys of ours start with `nq-`, fields of ours with `nq:`.
 */
export const COMMON = `
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Finer than a millisecond, so that jobs that end within one keep their order.
local exactNow = string.format('%.3f', time[1] * 1000 + time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
local wholeNow = whole(now)

local function event(base, ...)
  call('XADD', base .. ':events', '*', ...)
end

local function trimEvents(base)
  call('XTRIM', base .. ':events', 'MAXLEN', '~', 10000)
end

local function wake(base)
  if call('HEXISTS', base .. ':meta', 'paused') == 0 then call('ZADD', base .. ':marker', 0, '0') end
end

local function wakeWhenDue(base)
  local first = call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')
  if first[2] then call('ZADD', base .. ':marker', first[2] / 4096, '1') end
end

-- Behind those that wait already.
local function pushWaiting(base, id, priority)
  if priority == 0 then
    call('LPUSH', base .. ':wait', id)
  else
    local turn = call('INCR', base .. ':pc')
    call('ZADD', base .. ':prioritized', priority * 4294967296 + turn % 4294967296, id)
  end
end

-- The moment and, among those of one moment, the order of arrival.
local function pushDelayed(base, id, at)
  local lowest, highest = at * 4096, (at + 1) * 4096 - 1
  local key = base .. ':delayed'
  local last = call('ZREVRANGEBYSCORE', key, highest, lowest, 'WITHSCORES', 'LIMIT', 0, 1)
  call('ZADD', key, last[2] and math.min(last[2] + 1, highest) or lowest, id)
end

local function unline(base, id)
  return call('ZREM', base .. ':delayed', id) + call('ZREM', base .. ':prioritized', id)
    + call('LREM', base .. ':wait', 1, id) + call('LREM', base .. ':paused', 1, id)
end

-- What a job may have beside its hash: BullMQ keeps more, and leaves a mark where it adds jobs or moves stalled ones.
local function sidesOf(base)
  local meta = call('HMGET', base .. ':meta', 'opts.maxLenEvents', 'version')
  if not meta[1] and not meta[2] then return { ':logs' } end
  return { ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }
end

local function keysOf(keys, base, id, sides)
  local key, size = base .. ':' .. id, #keys
  keys[size + 1] = key
  for index = 1, #sides do keys[size + 1 + index] = key .. sides[index] end
end

local function dropKeys(base, id)
  local keys = { base .. ':' .. id .. ':lock' }
  keysOf(keys, base, id, sidesOf(base))
  call('UNLINK', unpack(keys))
end

-- Under which of two ids a job is stored, if it is.
local function find(base, ours, foreign)
  if call('EXISTS', base .. ':' .. ours) == 1 then return ours end
  if foreign ~= '' and call('EXISTS', base .. ':' .. foreign) == 1 then return foreign end
end

local function stateOf(base, id)
  local key = base .. ':' .. id
  if call('HGET', key, 'finishedOn') then
    if call('ZSCORE', base .. ':completed', id) then return 'completed' end
    if call('ZSCORE', base .. ':failed', id) then return 'failed' end
    if call('ZSCORE', base .. ':nq-cancelled', id) then return 'cancelled' end
  end
  if call('EXISTS', key .. ':lock') == 1 then return 'active' end
  if call('ZSCORE', base .. ':delayed', id) then return 'delayed' end
  if call('LPOS', base .. ':active', id) then return 'active' end
  return 'waiting'
end

-- What is known of a job that was forgotten, as long as its id is.
local function knownKey(base, id)
  return base .. ':nq-known:' .. id
end

local function setOf(base, outcome)
  return base .. ':' .. (outcome == 'cancelled' and 'nq-cancelled' or outcome)
end
`
