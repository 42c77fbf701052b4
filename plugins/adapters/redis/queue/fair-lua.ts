/** How far apart the turns of one priority are in the scores of `prioritized`. A key of weight 2 takes half of it for each job. */
const TURN = 16
/** The smallest difference of two scores. A score has 53 bits: 10 for the priority, 32 below it, and 11 of fraction. */
const SLOT = 1 / 2048
/** Jobs of different keys within this distance are in the same turn, in the order of arrival. */
const SAME_TURN = TURN / 64

/** Returns the field `nq:fair` of a job: what stands for its key, and how much of a turn the job takes. */
export function encodeFair({ token, weight }: { token: string; weight: number }): string {
  return `${token} ${Math.max(1, Math.round(TURN / weight / SLOT)) * SLOT}`
}

/**
 * The Lua functions that let the fair keys of a queue take turns. A waiting job with a `fairKey` is in `prioritized`, also if its priority
 * is 0, in the upper half of the scores of its priority. Its score is its turn, so that claims need not know of keys, and a plain BullMQ
 * worker starts jobs in the same order.
 *
 * | key | content |
 * |---|---|
 * | `<base>:nq-fair:<priority>:<token>` | the waiting jobs of a key by their score; also jobs that were claimed or removed meanwhile |
 * | `<base>:nq-fair` | the keys above, without `<base>:nq-fair:`, by the score of their last job |
 *
 * - The turn in progress is the score of the first waiting job. A key without waiting jobs joins it, behind the jobs in it.
 * - Every other job comes a turn, divided by its weight, after the last waiting job of its key.
 * - Keys whose last score is before the turn in progress have no waiting jobs, and are forgotten.
 */
export const FAIR = `
local fairness

-- Returns the functions for fair keys. They are created with the first job that has one, because creating them takes time in each call.
local function fair()
if fairness then return fairness end
local fairLast = {}

-- Moves the turns of a priority back to the first one, before its range of scores is exhausted. This happens after 67 million turns in
-- which jobs were always waiting.
local function restartTurns(base, priority, lowest, highest, by)
  local waiting, offset = base .. ':prioritized', 0
  fairLast = {}
  repeat
    local found = redis.call('ZRANGEBYSCORE', waiting, lowest, highest, 'WITHSCORES', 'LIMIT', offset, 1000)
    for index = 1, #found, 2 do
      local id, score = found[index], tonumber(found[index + 1]) - by
      redis.call('ZADD', waiting, score, id)
      local token = string.match(redis.call('HGET', base .. ':' .. id, 'nq:fair') or '', '^%S+')
      if token then
        redis.call('ZADD', base .. ':nq-fair:' .. priority .. ':' .. token, score, id)
        redis.call('ZADD', base .. ':nq-fair', score, priority .. ':' .. token)
      end
    end
    offset = offset + #found / 2
  until #found == 0
end

-- Forgets some keys without waiting jobs, up to a score.
local function forgetTurns(base, lowest, upTo, count)
  local idle = redis.call('ZRANGEBYSCORE', base .. ':nq-fair', lowest, upTo, 'LIMIT', 0, count)
  if #idle == 0 then return end
  redis.call('ZREM', base .. ':nq-fair', unpack(idle))
  for index = 1, #idle do idle[index] = base .. ':nq-fair:' .. idle[index] end
  redis.call('UNLINK', unpack(idle))
end

-- Returns the score of the last waiting job of a key. Drops jobs from its end that were removed, or that wait again with another key.
local function lastTurn(own, waiting)
  while true do
    local found, ids = redis.call('ZREVRANGE', own, 0, 99, 'WITHSCORES'), {}
    if #found == 0 then return nil end
    for index = 1, #found, 2 do ids[#ids + 1] = found[index] end
    local scores = redis.call('ZMSCORE', waiting, unpack(ids))
    for index = 1, #ids do
      if scores[index] and tonumber(scores[index]) == tonumber(found[index * 2]) then
        if index > 1 then redis.call('ZREM', own, unpack(ids, 1, index - 1)) end
        return tonumber(scores[index])
      end
    end
    redis.call('ZREM', own, unpack(ids))
  end
end

-- Adds a job behind the waiting jobs of its key.
local function pushFair(base, id, priority, fair)
  local waiting, lowest = base .. ':prioritized', priority * 4294967296 + 2147483648
  local highest = lowest + 2147483647
  local token, step = string.match(fair, '^(%S+) (%S+)$')
  local member = string.format('%.0f', priority) .. ':' .. token
  local own = base .. ':nq-fair:' .. member
  local score = fairLast[own] and fairLast[own] + step
  if not score then
    local first = tonumber(redis.call('ZRANGEBYSCORE', waiting, lowest, highest, 'WITHSCORES', 'LIMIT', 0, 1)[2])
    if first and first > lowest + 1073741824 then
      restartTurns(base, string.format('%.0f', priority), lowest, highest, first - lowest)
      first = lowest
    end
    local before = first and '(' .. string.format('%.17g', first) or highest
    forgetTurns(base, lowest, before, 16)
    redis.call('ZREMRANGEBYSCORE', own, '-inf', before)
    local last = first and lastTurn(own, waiting)
    if last then
      score = last + step
    elseif first then
      local latest = redis.call('ZREVRANGEBYSCORE', waiting, first + ${SAME_TURN - SLOT}, first, 'WITHSCORES', 'LIMIT', 0, 1)[2]
      score = math.min(latest + ${SLOT}, first + ${SAME_TURN - SLOT})
    else
      score = lowest
    end
  end
  score = math.min(score, highest)
  fairLast[own] = score
  redis.call('ZADD', waiting, score, id)
  redis.call('ZADD', own, score, id)
  redis.call('ZADD', base .. ':nq-fair', score, member)
end

fairness = { push = pushFair, forget = forgetTurns }
return fairness
end
`
