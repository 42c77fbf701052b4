import { FRESH_FIELDS, USED_FIELDS } from './job-codec.ts'
import { COMMON, quoted } from './lua.ts'

/** The number of arguments of a settlement. */
const SETTLEMENT_ARGS = 8

/**
 * Settles jobs that have run, and claims the next jobs. BullMQ's worker makes one call per job; sharing the call reduces the load of
 * Redis to a third.
 *
 * ARGV: `base`, `holder` (the id of the consumer), `lease` in milliseconds, `want` (how many jobs to claim at most), the number of
 * settlements, the number of calls of the append script on which settlements depend, eight arguments for each settlement, and two for each
 * of these calls: its key and its number.
 *
 * The arguments of a settlement (see `encodeSettlement`) are the stored id, the claim, the kind, the attempts made, three that depend on
 * the kind, and the condition. The condition is `''` or three numbers: the append call, the position of the append in its result, and `1`
 * if the job uses a slot until it is settled.
 *
 * | kind | first | second | third |
 * |---|---|---|---|
 * | `completed` | result | – | – |
 * | `failed` | message | error as JSON | stack as JSON |
 * | `retry` | due time | message | error as JSON |
 * | `defer` | due time | `1` to hold the queue until then | `1` to count a crash |
 * | `ended` | outcome | result or message | error as JSON |
 * | `returned` | – | – | – |
 * | `lost` | – | – | – |
 *
 * Returns the time, the outcome of each settlement (`waiting`, `delayed`, `completed`, `failed`, `cancelled`, `lost` if another consumer
 * holds the job, or `unmet` if the append was refused or its result is not known), the claimed jobs (the stored id and the fields `ats`, `FRESH_FIELDS`, `USED_FIELDS` of each), the milliseconds
 * for which the queue is held (negative if it is not), and the next due time of a delayed job, or the end of the period of an exhausted
 * rate (`''` if there is neither).
 *
 * Invariants: an active job is in the list `active` and has a lock, unless its lease has expired. A settlement takes effect only for the
 * holder of the job. That is the consumer whose lock exists, or, if the lock has expired, the one that made the last claim.
 */
export const SETTLE_AND_CLAIM = `${COMMON}
local base, holder, lease, want, settlements = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local appendCalls = tonumber(ARGV[6])
local prefix, active, events, token = base .. ':', base .. ':active', base .. ':events', holder .. ':'

-- All settlements share calls where possible, because the overhead of a call is larger than its work.
local keys, lockKeys, locks, released, ended = {}, {}, {}, {}, {}
for index = 1, settlements do
  local key = prefix .. ARGV[7 + (index - 1) * ${SETTLEMENT_ARGS}]
  keys[index] = key
  lockKeys[index] = key .. ':lock'
end
if settlements > 0 then locks = call('MGET', unpack(lockKeys)) end

-- Removes a job from the active ones. Returns false if this consumer does not hold it.
local function releaseJob(index, id, claim)
  local lock = locks[index]
  if lock ~= token .. claim and (lock or call('HGET', keys[index], 'ats') ~= claim) then return false end
  if call('LREM', active, -1, id) == 0 then return false end
  released[#released + 1] = lockKeys[index]
  return true
end

-- Stores the end of a job.
local function finish(key, id, outcome, ...)
  call('HSET', key, 'finishedOn', nowText, ...)
  -- A retry by a BullMQ client keeps this field. The next claim then resets the attempts.
  if outcome == 'failed' then call('HSET', key, 'nq:ended', 1) end
  local set = ended[outcome]
  if set then
    local size = #set
    set[size + 1], set[size + 2] = exactNow, id
  else
    ended[outcome] = { exactNow, id }
  end
end

-- Makes a job wait, or delays it until a moment. A job that was promoted during this claim does not wait.
local function admit(key, id, dueAt, ...)
  local job = call('HMGET', key, 'priority', 'nq:promoted', 'ats', 'nq:fair')
  local priority, promotedClaim, lastClaim = job[1], job[2], job[3]
  if promotedClaim and promotedClaim == lastClaim then dueAt = now end
  call('HSET', key, 'nq:at', formatInteger(dueAt), 'delay', formatInteger(math.max(0, dueAt - now)), ...)
  if dueAt <= now then
    pushWaiting(base, id, tonumber(priority or 0), job[4])
    event(base, 'event', 'waiting', 'jobId', id, 'prev', 'active')
    return 'waiting'
  end
  pushDelayed(base, id, dueAt)
  event(base, 'event', 'delayed', 'jobId', id, 'delay', formatInteger(dueAt))
  return 'delayed'
end

-- The results of the append calls. A pipeline keeps the result of its last call only.
local appended = {}
for number = 1, appendCalls do
  local from = 6 + settlements * ${SETTLEMENT_ARGS} + (number - 1) * 2
  local stored, results, count = call('GET', ARGV[from + 1]), {}, 0
  local last, result = string.match(stored or '', '^(%S+) (.*)$')
  if last == ARGV[from + 2] then
    for one in string.gmatch(result, '[^;]+') do
      count = count + 1
      results[count] = one
    end
  end
  appended[number] = results
end

-- Returns whether the append on which a settlement depends was accepted. Otherwise the slot of the job stays in use.
local function isMet(condition)
  if condition == '' then return true end
  local number, position, busy = string.match(condition, '^(%d+),(%d+),(%d)$')
  local result = appended[tonumber(number)][tonumber(position)]
  if result and string.sub(result, 1, 1) ~= '!' then return true end
  if busy == '1' then want = want - 1 end
  return false
end

local settled, requeued, delayed = {}, false, false
for index = 1, settlements do
  local from = 6 + (index - 1) * ${SETTLEMENT_ARGS}
  local id, claim, kind, made = ARGV[from + 1], ARGV[from + 2], ARGV[from + 3], ARGV[from + 4]
  local first, second, third = ARGV[from + 5], ARGV[from + 6], ARGV[from + 7]
  local key, outcome = keys[index], 'lost'
  if not isMet(ARGV[from + 8]) then
    outcome = 'unmet'
  elseif kind == 'lost' then
    -- The consumer that claimed the job counted a crash, but the process of this one is alive.
    if tonumber(call('HGET', key, 'stc') or 0) > 0 then
      call('HINCRBY', key, 'stc', -1)
      call('HINCRBY', key, 'nq:lapses', 1)
    end
  elseif releaseJob(index, id, claim) then
    if kind == 'completed' then
      outcome = kind
      local result = first
      if result == '' then
        finish(key, id, kind, 'atm', made)
        result = 'null'
      else
        finish(key, id, kind, 'atm', made, 'returnvalue', result)
      end
      call('XADD', events, '*', 'event', kind, 'jobId', id, 'returnvalue', result, 'prev', 'active')
    elseif kind == 'failed' then
      outcome = kind
      finish(key, id, kind, 'atm', made, 'failedReason', first, 'nq:error', second, 'stacktrace', third)
      event(base, 'event', kind, 'jobId', id, 'failedReason', first, 'prev', 'active')
      event(base, 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
    elseif kind == 'ended' then
      outcome = first
      local value = second
      if value == '' then
        finish(key, id, outcome, 'atm', made)
        value = 'null'
      elseif outcome == 'completed' then
        finish(key, id, outcome, 'atm', made, 'returnvalue', value)
      else
        finish(key, id, outcome, 'atm', made, 'failedReason', value, 'nq:error', third)
      end
      local field = outcome == 'completed' and 'returnvalue' or 'failedReason'
      event(base, 'event', outcome, 'jobId', id, field, value, 'prev', 'active')
    elseif kind == 'returned' then
      -- The job has not started, so it goes in front of the waiting ones.
      pushFirst(base, id)
      event(base, 'event', 'waiting', 'jobId', id, 'prev', 'active')
      outcome = 'waiting'
    elseif kind == 'retry' then
      outcome = admit(key, id, tonumber(first), 'atm', made, 'failedReason', second, 'nq:error', third)
    else
      local dueAt, holdQueue, crashed = tonumber(first), second == '1', third == '1'
      if crashed then call('HINCRBY', key, 'stc', 1) end
      outcome = admit(key, id, dueAt)
      if holdQueue and dueAt > now then
        local hold = dueAt - now
        if call('PTTL', base .. ':nq-hold') < hold then call('SET', base .. ':nq-hold', 1, 'PX', formatInteger(hold)) end
      end
    end
    requeued = requeued or outcome == 'waiting'
    delayed = delayed or outcome == 'delayed'
  end
  settled[index] = outcome
end
if #released > 0 then call('DEL', unpack(released)) end
for outcome, members in pairs(ended) do call('ZADD', setOf(base, outcome), unpack(members)) end

local function firstDue()
  local score = call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')[2]
  return score and math.floor(score / 4096)
end
local nextDue, due = firstDue(), {}
if nextDue and nextDue <= now then
  due = call('ZRANGEBYSCORE', base .. ':delayed', 0, (now + 1) * 4096 - 1, 'LIMIT', 0, 1000)
end
for _, id in ipairs(due) do
  call('ZREM', base .. ':delayed', id)
  pushStored(base, id)
  call('HSET', base .. ':' .. id, 'delay', 0)
  event(base, 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
end
if #due > 0 then nextDue = firstDue() end

local meta = call('HMGET', base .. ':meta', 'paused', 'concurrency', 'max', 'duration')
-- How many jobs the limits of the queue allow to claim now.
local limiter, room, left = base .. ':limiter', math.huge, math.huge
if meta[2] then room = meta[2] - call('LLEN', active) end
if meta[3] and meta[4] then
  -- Without an expiry, the period would never end.
  if call('PTTL', limiter) == -1 then call('DEL', limiter) end
  left = meta[3] - (call('GET', limiter) or 0)
end
want = math.min(want, room, left)
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
      claim = formatInteger(fields[1] + 1)
      if call('HDEL', key, 'nq:ended') == 1 then
        call('HDEL', key, 'failedReason', 'stacktrace', 'nq:error', 'progress')
        call('HSET', key, 'atm', 0, 'stc', 0)
        call('HINCRBY', key, 'nq:round', 1)
      end
      local used = call('HMGET', key, ${quoted(USED_FIELDS)})
      for index = 1, ${USED_FIELDS.length} do fields[${FRESH_FIELDS.length + 1} + index] = used[index] end
    end
    call('HSET', key, 'ats', claim, 'processedOn', nowText)
    call('SET', key .. ':lock', token .. claim, 'PX', lease)
    call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    fields[1] = claim
    claimed[count + 1], claimed[count + 2], count = id, fields, count + 2
  else
    call('LREM', active, 1, id)
  end
end

room, left = room - #ids, left - #ids
if left < math.huge and #ids > 0 and call('INCRBY', limiter, #ids) == #ids then call('PEXPIRE', limiter, meta[4]) end

local full, freed = want > 0 and #ids == want, meta[2] and settlements > 0
if not meta[1] and room > 0 and left > 0 and (full or requeued or #due > 0 or freed)
  and (call('LLEN', base .. ':wait') > 0 or call('ZCARD', base .. ':prioritized') > 0) then
  call('ZADD', base .. ':marker', 0, '0')
end
if settlements > 0 or #ids > 0 then trimEvents(base) end
if left <= 0 then nextDue = math.min(nextDue or math.huge, now + math.max(1, call('PTTL', limiter))) end
if delayed then wakeWhenDue(base) end
if settlements > 0 and #ids == 0 and call('LLEN', base .. ':wait') == 0 and call('LLEN', active) == 0 then
  event(base, 'event', 'drained')
  if call('ZCARD', base .. ':prioritized') == 0 then fair().forget(base, '-inf', '+inf', 1000) end
end
return { nowText, settled, claimed, hold, nextDue and formatInteger(nextDue) or '' }
`
