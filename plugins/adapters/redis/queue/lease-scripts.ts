import { COMMON } from './lua.ts'

/**
 * Renews the locks of the jobs that a consumer runs.
 *
 * ARGV: `base`, `holder`, `lease` in milliseconds, then the stored id and the claim of each job.
 *
 * Returns the ids of the jobs that another consumer has claimed.
 */
export const RENEW = `
local base, holder, lease = ARGV[1], ARGV[2], ARGV[3]
local lost = {}
for index = 4, #ARGV, 2 do
  local id, claim = ARGV[index], ARGV[index + 1]
  local key = base .. ':' .. id
  local lock = redis.call('GET', key .. ':lock')
  local mine = lock == holder .. ':' .. claim
  -- The lock expired while the store was unavailable, but no other consumer has claimed the job.
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

/**
 * Moves active jobs without a lock in front of the waiting jobs, and counts a crash for each. It runs at most once per interval, for all
 * consumers together.
 *
 * ARGV: `base`, the interval in milliseconds. Returns the stored ids of the moved jobs.
 */
export const RECLAIM = `${COMMON}
local base, interval = ARGV[1], ARGV[2]
if not call('SET', base .. ':nq-reclaim', 1, 'PX', interval, 'NX') then return {} end
local reclaimed = {}
for _, id in ipairs(call('LRANGE', base .. ':active', 0, -1)) do
  local key = base .. ':' .. id
  if call('EXISTS', key .. ':lock') == 0 and call('LREM', base .. ':active', 1, id) > 0 then
    if call('EXISTS', key) == 1 then
      call('HINCRBY', key, 'stc', 1)
      local job = call('HMGET', key, 'priority', 'nq:fair')
      local priority = tonumber(job[1] or 0)
      if priority == 0 and not job[2] then
        call('RPUSH', base .. ':wait', id)
      else
        pushWaiting(base, id, priority, job[2])
      end
      event(base, 'event', 'waiting', 'jobId', id, 'prev', 'active')
      event(base, 'event', 'stalled', 'jobId', id)
      reclaimed[#reclaimed + 1] = id
    end
  end
end
if #reclaimed > 0 then wake(base) end
return reclaimed
`

/**
 * Returns jobs to the queue that a consumer has claimed without knowing it, because the result of its call was lost. Each goes in front of
 * the waiting jobs of its priority.
 *
 * ARGV: `base`, `holder`, then the stored ids of the jobs that the consumer knows. Returns the number of returned jobs.
 */
export const RECOVER = `${COMMON}
local base, holder = ARGV[1], ARGV[2]
local known = {}
for index = 3, #ARGV do known[ARGV[index]] = true end
local dropped = 0
for _, id in ipairs(call('LRANGE', base .. ':active', 0, -1)) do
  if not known[id] then
    local lock = call('GET', base .. ':' .. id .. ':lock')
    if lock and string.sub(lock, 1, #holder + 1) == holder .. ':' then
      call('DEL', base .. ':' .. id .. ':lock')
      if call('LREM', base .. ':active', 1, id) > 0 then pushFirst(base, id) end
      dropped = dropped + 1
    end
  end
end
if dropped > 0 then wake(base) end
return dropped
`

/**
 * Stores the progress of a job.
 *
 * ARGV: `base`, the stored id, the expected value of the lock (`<holder>:<claim>`), the progress as JSON. Returns 1, or 0 if the consumer
 * does not hold the job any more.
 */
export const PROGRESS = `
local base, id, token, value = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('GET', base .. ':' .. id .. ':lock') ~= token then return 0 end
redis.call('HSET', base .. ':' .. id, 'progress', value)
redis.call('XADD', base .. ':events', 'MAXLEN', '~', 10000, '*', 'event', 'progress', 'jobId', id, 'data', value)
return 1
`
