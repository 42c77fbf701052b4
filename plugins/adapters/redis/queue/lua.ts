import { FAIR } from './fair-lua.ts'

/** Returns names as arguments of a Lua call. */
export const quoted = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ')

/**
 * The Lua functions that the scripts of a queue share. They work on the keys of BullMQ, like its own scripts. `base` is the prefix of
 * the keys of a queue, `id` the id under which a job is stored.
 *
 * | key | content |
 * |---|---|
 * | `<base>:<id>` | the hash of a job; `job-codec.ts` explains its fields |
 * | `<base>:<id>:lock` | the lease of an active job: `<holder>:<claim>`, expires by itself |
 * | `<base>:wait` | a list of waiting jobs without priority, new ones on the left |
 * | `<base>:prioritized` | waiting jobs with a priority or a `fairKey`; the score is the priority, and a sequence number or a turn |
 * | `<base>:delayed` | delayed jobs; the score is 4096 × the due time in milliseconds, plus a sequence number |
 * | `<base>:active` | a list of active jobs |
 * | `<base>:completed`, `<base>:failed` | ended jobs by the moment of their end |
 * | `<base>:marker` | a sorted set that wakes a worker that waits for jobs |
 * | `<base>:events` | the stream of `QueueEvents` |
 * | `<base>:meta` | the settings of the queue: `paused`; its limits `concurrency`, `max` and `duration` |
 * | `<base>:limiter` | the number of jobs claimed in the current period of the rate; expires with the period |
 * | `<base>:nq-cancelled` | cancelled jobs by the moment of their end |
 * | `<base>:nq-hold` | exists while a deferral holds the queue |
 * | `<base>:nq-known:<id>` | the run of a removed job whose id is remembered |
 * | `<base>:nq-fair…` | the turns of fair keys (see `fair-lua.ts`) |
 * | `<base>:nq-by:…`, `<base>:nq-names` | the indexes by creation (see `index-lua.ts`) |
 *
 * Our own keys begin with `nq-`, our own fields of a job with `nq:`.
 *
 *     waiting (wait, prioritized) ── claim ──> active ── settle ──> completed | failed | cancelled
 *        ^            ^                          │
 *        │            └──── retry, defer ────────┤
 *        └── due ── delayed <── retry, defer ────┘
 */
export const COMMON = `
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- With microseconds, so that jobs that end within one millisecond keep their order.
local exactNow = string.format('%.3f', time[1] * 1000 + time[2] / 1000)
local function formatInteger(number) return string.format('%.0f', number) end
local nowText = formatInteger(now)

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

${FAIR}
-- Adds a job behind the waiting jobs of the same priority, or behind those of its fair key.
local function pushWaiting(base, id, priority, fairKey)
  if fairKey then
    fair().push(base, id, priority, fairKey)
  elseif priority == 0 then
    call('LPUSH', base .. ':wait', id)
  else
    local sequence = call('INCR', base .. ':pc')
    call('ZADD', base .. ':prioritized', priority * 4294967296 + sequence % 4294967296, id)
  end
end

-- Adds a stored job in front of the waiting jobs of the same priority, also if they have fair keys.
local function pushFirst(base, id)
  local job = call('HMGET', base .. ':' .. id, 'priority', 'nq:fair')
  local priority = tonumber(job[1] or 0)
  if priority == 0 then return call('RPUSH', base .. ':wait', id) end
  local waiting, lowest = base .. ':prioritized', priority * 4294967296
  local first = tonumber(call('ZRANGEBYSCORE', waiting, lowest, lowest + 4294967295, 'WITHSCORES', 'LIMIT', 0, 1)[2])
  -- Without waiting jobs, it goes where the next job would go. In front of that place, there is room for further jobs.
  first = first or lowest + (job[2] and 2147483648 or (call('GET', base .. ':pc') or 0) % 4294967296 + 1)
  call('ZADD', waiting, math.max(first - 1, lowest), id)
end

-- Adds a stored job to the waiting jobs.
local function pushStored(base, id)
  local job = call('HMGET', base .. ':' .. id, 'priority', 'nq:fair')
  pushWaiting(base, id, tonumber(job[1] or 0), job[2])
end

-- Adds a job to the delayed jobs, behind those of the same moment.
local function pushDelayed(base, id, dueAt)
  local lowest, highest = dueAt * 4096, (dueAt + 1) * 4096 - 1
  local key = base .. ':delayed'
  local last = call('ZREVRANGEBYSCORE', key, highest, lowest, 'WITHSCORES', 'LIMIT', 0, 1)
  call('ZADD', key, last[2] and math.min(last[2] + 1, highest) or lowest, id)
end

-- Removes a job from the waiting and delayed jobs. Returns 0 if it was not there.
local function removeWaiting(base, id)
  return call('ZREM', base .. ':delayed', id) + call('ZREM', base .. ':prioritized', id)
    + call('LREM', base .. ':wait', 1, id) + call('LREM', base .. ':paused', 1, id)
end

-- Returns the suffixes of the keys that a job may have in addition to its hash. A queue that BullMQ clients use has more of them. Its meta
-- then has one of the two fields.
local function sideSuffixes(base)
  local meta = call('HMGET', base .. ':meta', 'opts.maxLenEvents', 'version')
  if not meta[1] and not meta[2] then return { ':logs' } end
  return { ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }
end

local function keysOf(keys, base, id, suffixes)
  local key, size = base .. ':' .. id, #keys
  keys[size + 1] = key
  for index = 1, #suffixes do keys[size + 1 + index] = key .. suffixes[index] end
end

local function dropKeys(base, id)
  local keys = { base .. ':' .. id .. ':lock' }
  keysOf(keys, base, id, sideSuffixes(base))
  call('UNLINK', unpack(keys))
end

-- Returns the id under which a job is stored: by us, or by a BullMQ client. Returns nil if it is not stored.
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

-- Returns the key that remembers the id and the run of a removed job.
local function knownKey(base, id)
  return base .. ':nq-known:' .. id
end

-- Returns the key of the ended jobs with an outcome.
local function setOf(base, outcome)
  return base .. ':' .. (outcome == 'cancelled' and 'nq-cancelled' or outcome)
end
`
