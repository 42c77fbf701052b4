import { ALL_FIELDS } from './job-codec.ts'
import { INDEX_READS } from './index-lua.ts'
import { quoted } from './lua.ts'

/** The states in the order of the counts. */
export const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'] as const

/** The Lua functions that `FIND` and `COUNT` share: the states of jobs, and the indexes of a filter. */
const READS = `local call = redis.call
${INDEX_READS}
local sizes, byState, total = {}, {}, 0
local function measure(base)
  for index, one in ipairs(kept) do
    sizes[index] = sizeOf(base, one)
    byState[one[3]] = (byState[one[3]] or 0) + sizes[index]
    total = total + sizes[index]
  end
end

local activeJobs
-- Returns the state of each job. A job that is in no other key is waiting. With \`wanted\`, the states of other jobs are absent or wrong.
local function statesOf(base, ids, wanted)
  local states, all = {}, not wanted or wanted.waiting
  for index, one in ipairs(kept) do
    if sizes[index] > 0 and one[2] == 'set' and one[3] ~= 'waiting' and (all or wanted[one[3]]) then
      local state, scores = one[3], call('ZMSCORE', base .. ':' .. one[1], unpack(ids))
      for n = 1, #ids do if scores[n] then states[n] = state end end
    end
  end
  if byState.active > 0 and (all or wanted.active) then
    if not activeJobs then
      activeJobs = {}
      for _, id in ipairs(call('LRANGE', base .. ':active', 0, -1)) do activeJobs[id] = true end
    end
    for n = 1, #ids do if activeJobs[ids[n]] then states[n] = states[n] or 'active' end end
  end
  if all then for n = 1, #ids do states[n] = states[n] or 'waiting' end end
  return states
end

-- Returns the keys of the indexes that contain every matching job of a filter, the smallest first. \`required\` is separated by NUL.
local function indexesOf(base, required)
  local keys, counts = {}, {}
  for of in string.gmatch(required, '[^%z]+') do
    local key = indexKey(base, of)
    keys[#keys + 1], counts[key] = key, call('ZCARD', key)
  end
  table.sort(keys, function(a, b) return counts[a] < counts[b] end)
  return keys, counts
end
`

/**
 * Finds jobs of a queue, newest first.
 *
 * ARGV:
 *
 * 1. `base`
 * 2. the indexes that a job must be in, separated by NUL; none stands for all names
 * 3. how the search begins: `''` at the newest job, `after` a job, `below` a moment, or `from` a moment on
 * 4. that moment, 5. and 6. the ids under which that job may be stored (see `storedIds`)
 * 7. the first and 8. the last score of the jobs, in the syntax of ZCOUNT
 * 9. the states, separated by commas (`''` for all)
 * 10. the maximum number of jobs to return, or 0 to count them, 11. the maximum number of entries to examine
 * 12. text in the stored error, and 13. the same text unchanged; `''` for any
 * 14. and following: texts, separated by NUL, one of which is in the stored data
 *
 * Returns the gap of the indexes, the number of examined entries, the score and the id of the last one, `1` if the index ends there, and
 * for each job its id, its state and `ALL_FIELDS`, or the number of jobs in each of `STATES`. A returned job has the texts somewhere in its
 * error and data; the caller compares it exactly.
 *
 * It walks through the smallest of the indexes. If few jobs have one of the states, it reads these jobs and sorts them instead.
 */
export const FIND = `${READS}
local base, required, begins, moment, lastId = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local first, last, wanted, most = ARGV[7], ARGV[8], tonumber(ARGV[10]), tonumber(ARGV[11])
local failure, rawFailure, searchesData = ARGV[12], ARGV[13], #ARGV > 13
local FEW = 3000
if ARGV[6] ~= '' and call('EXISTS', base .. ':' .. lastId) == 0 and call('EXISTS', base .. ':' .. ARGV[6]) == 1 then
  lastId = ARGV[6]
end

local states, stateCount = nil, 0
if ARGV[9] ~= '' then
  states = {}
  for state in string.gmatch(ARGV[9], '[^,]+') do states[state] = true end
end
measure(base)
if states then for state in pairs(states) do stateCount = stateCount + (byState[state] or 0) end end
local keys, counts = indexesOf(base, required)

local function contains(text, part) return text and string.find(text, part, 1, true) ~= nil end
local function preselected(id)
  local key = base .. ':' .. id
  if failure ~= '' then
    local stored = call('HMGET', key, 'nq:error', 'failedReason')
    local inError = stored[1] and contains(string.lower(stored[1]), failure)
    if not inError and not (stored[2] and contains(string.lower(stored[2]), rawFailure)) then return false end
  end
  if searchesData then
    local data = call('HGET', key, 'data')
    for arg = 14, #ARGV do
      local occurs = false
      for text in string.gmatch(ARGV[arg], '[^%z]+') do occurs = occurs or contains(data, text) end
      if not occurs then return false end
    end
  end
  return true
end

local walked
local examined, found, tally, endScore, endId = 0, {}, {}, '', ''
-- Examines entries in their order. Returns true once the page is full.
local function examine(ids, scores, known)
  if #ids == 0 then return false end
  local all = known or statesOf(base, ids, states)
  local member = {}
  for index = 2, #keys do member[index] = call('ZMSCORE', keys[index], unpack(ids)) end
  for n, id in ipairs(ids) do
    examined, endScore, endId = examined + 1, scores and scores[n], id
    local matches = not states or states[all[n]]
    for index = 2, #keys do matches = matches and member[index][n] end
    if matches and wanted == 0 then
      tally[all[n]] = (tally[all[n]] or 0) + 1
    elseif matches and preselected(id) then
      local job = call('HMGET', base .. ':' .. id, ${quoted(ALL_FIELDS)})
      if job[1] then
        found[#found + 1] = { id, all[n], unpack(job, 1, ${ALL_FIELDS.length}) }
        if #found >= wanted then return true end
      elseif keys[1] then
        -- A BullMQ client has removed the job.
        endScore = endScore or call('ZSCORE', keys[1], id)
        call('ZREM', keys[1], id)
      end
    end
    if examined >= most then return true end
  end
  return false
end

-- Redis compares members by bytes; Lua compares text by the locale.
local function isGreater(a, b)
  for index = 1, math.min(#a, #b) do
    local x, y = string.byte(a, index), string.byte(b, index)
    if x ~= y then return x > y end
  end
  return #a > #b
end

local function result(ended)
  if wanted == 0 then for index, state in ipairs({ ${quoted(STATES)} }) do found[index] = tally[state] or 0 end end
  endScore = endScore or call('ZSCORE', walked[1], endId)
  return { gapOf(base), examined, endScore, endId, ended and 1 or 0, unpack(found) }
end

if states and stateCount <= FEW and (not keys[1] or stateCount < counts[keys[1]]) then
  local jobs, at, from = {}, tonumber(moment), tonumber(string.match(first, '[%d.]+')) or 0
  local isBefore = string.sub(last, 1, 1) == '(' and tonumber(string.sub(last, 2))
  for index, one in ipairs(kept) do
    if states[one[3]] and sizes[index] > 0 then
      local key = base .. ':' .. one[1]
      for _, id in ipairs(call(one[2] == 'list' and 'LRANGE' or 'ZRANGE', key, 0, -1)) do
        local text = keys[1] and call('ZSCORE', keys[1], id) or (not keys[1] and call('HGET', base .. ':' .. id, 'timestamp'))
        local score = text and tonumber(text)
        local follows = score and score >= from and (not isBefore or score < isBefore) and (begins == ''
          or score < at or (score == at and (begins == 'from' or (begins == 'after' and isGreater(lastId, id)))))
        if follows then jobs[#jobs + 1] = { id, score, one[3], text } end
      end
    end
  end
  table.sort(jobs, function(a, b) return a[2] > b[2] or (a[2] == b[2] and isGreater(a[1], b[1])) end)
  for n, job in ipairs(jobs) do
    if examine({ job[1] }, { job[4] }, { job[3] }) then return result(n == #jobs) end
  end
  return result(true)
end

-- Returns how many entries of an index come before the first one to examine.
local function startOf(key)
  local start = last == '+inf' and 0 or call('ZCOUNT', key, string.sub(last, 2), '+inf')
  if begins == '' then return start end
  if begins ~= 'after' then
    return math.max(start, call('ZCOUNT', key, begins == 'below' and moment or '(' .. moment, '+inf'))
  end
  local score = call('ZSCORE', key, lastId)
  if score and tonumber(score) == tonumber(moment) then return math.max(start, call('ZREVRANK', key, lastId) + 1) end
  -- The job was removed, or was added again later. Its entry is inserted for a moment to find its rank.
  call('ZADD', key, moment, lastId)
  local rank = call('ZREVRANK', key, lastId)
  if score then
    call('ZADD', key, score, lastId)
    if tonumber(score) > tonumber(moment) then rank = rank + 1 end
  else
    call('ZREM', key, lastId)
  end
  return math.max(start, rank)
end

walked = { keys[1] }
if not keys[1] then
  for _, name in ipairs(call('SMEMBERS', base .. ':nq-names')) do walked[#walked + 1] = indexKey(base, 'n:' .. name) end
end
local lowest = tonumber(string.match(first, '[%d.]+')) or 0
local sources = {}
for index, key in ipairs(walked) do
  sources[index] = { key = key, rank = startOf(key), size = 16, at = 1, entries = {}, ended = false }
end
local function refill(source)
  source.entries = call('ZRANGE', source.key, source.rank, source.rank + source.size - 1, 'REV', 'WITHSCORES')
  source.ended = #source.entries < 2 * source.size
  source.rank, source.at = source.rank + #source.entries / 2, 1
  source.size = math.min(512, source.size * 2)
end
local function head(source)
  if source.at > #source.entries and not source.ended then refill(source) end
  local score = source.entries[source.at + 1]
  if not score or tonumber(score) < lowest then return nil end
  return source.entries[source.at], score
end
-- Takes the newest entries of all indexes. With a single index, scores are read only where they are compared.
local function take(count)
  if #sources == 1 and lowest == 0 then
    local source = sources[1]
    local ids = call('ZRANGE', source.key, source.rank, source.rank + count - 1, 'REV')
    source.rank = source.rank + count
    return ids, nil, #ids < count
  end
  local ids, scores = {}, {}
  if #sources == 1 then
    local source = sources[1]
    local entries = call('ZRANGE', source.key, source.rank, source.rank + count - 1, 'REV', 'WITHSCORES')
    source.rank = source.rank + count
    for index = 1, #entries, 2 do
      if tonumber(entries[index + 1]) < lowest then return ids, scores, true end
      ids[#ids + 1], scores[#scores + 1] = entries[index], entries[index + 1]
    end
    return ids, scores, #entries < 2 * count
  end
  while #ids < count do
    local best, bestId, bestScore
    for _, source in ipairs(sources) do
      local id, score = head(source)
      if id and (not best or tonumber(score) > tonumber(bestScore)
        or (tonumber(score) == tonumber(bestScore) and isGreater(id, bestId))) then
        best, bestId, bestScore = source, id, score
      end
    end
    if not best then return ids, scores, true end
    best.at = best.at + 2
    ids[#ids + 1], scores[#ids + 1] = bestId, bestScore
  end
  return ids, scores, false
end

local chunk = wanted == 0 and 1000 or math.min(wanted, 100)
while true do
  local ids, scores, ended = take(math.min(chunk, most - examined))
  if examine(ids, scores) then return result(ended and ids[#ids] == endId) end
  if ended then return result(true) end
  chunk = math.min(1000, chunk * 2)
end
`

/**
 * Counts the jobs of a queue that are in each of the given indexes. ARGV: `base`, the indexes, separated by NUL. Returns the gap of the
 * indexes, and the number of jobs in each of `STATES`.
 */
export const COUNT = `${READS}
local base, out = ARGV[1], {}
measure(base)
local keys, counts = indexesOf(base, ARGV[2])
local names = call('SMEMBERS', base .. ':nq-names')
if not keys[1] or (#keys == 1 and #names == 1 and keys[1] == indexKey(base, 'n:' .. names[1])) then
  for index, state in ipairs({ ${quoted(STATES)} }) do out[index] = byState[state] end
  return { gapOf(base), unpack(out) }
end
local function both(more)
  local all = { unpack(keys) }
  if more then all[#all + 1] = base .. ':' .. more end
  return #all == 1 and counts[all[1]] or call('ZINTERCARD', #all, unpack(all))
end
local delayed, completed, failed, cancelled = both('delayed'), both('completed'), both('failed'), both('nq-cancelled')
local active = 0
for _, id in ipairs(call('LRANGE', base .. ':active', 0, -1)) do
  local isIn = true
  for _, key in ipairs(keys) do isIn = isIn and call('ZSCORE', key, id) end
  if isIn then active = active + 1 end
end
return { gapOf(base), both() - delayed - active - completed - failed - cancelled, delayed, active, completed, failed, cancelled }
`
