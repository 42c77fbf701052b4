/**
 * The Lua functions for the indexes of a queue. They follow `COMMON`. An index is a sorted set of stored ids; the score is the creation of
 * the job, which never changes. The index of a job is therefore written only when the job is added and when it is removed.
 *
 * | key | content |
 * |---|---|
 * | `<base>:nq-by:n:<name>` | the jobs of a name. Each job is in one of these indexes |
 * | `<base>:nq-by:r:<run>` | the jobs of a run, if the run is not the id of the job |
 * | `<base>:nq-by:t:<tag>` | the jobs with a tag |
 * | `<base>:nq-names` | the names that have an index |
 *
 * The meta of a queue has the field `nq:indexed` if a job has been in the index of a run or of a tag.
 *
 * Invariant: a script writes or removes the entries of a job together with its hash. BullMQ clients and earlier releases do not maintain
 * the indexes; `job-index.ts` repairs them.
 */
export const INDEX = `
local function indexKey(base, of) return base .. ':nq-by:' .. of end

-- Adds jobs of one name. \`members\` has the creation and the stored id of each.
local function indexName(base, name, members)
  local key = indexKey(base, 'n:' .. name)
  if call('EXISTS', key) == 0 then call('SADD', base .. ':nq-names', name) end
  call('ZADD', key, unpack(members))
end

local function indexOthers(base, id, created, others)
  if #others == 0 then return end
  for _, of in ipairs(others) do call('ZADD', indexKey(base, of), created, id) end
  call('HSET', base .. ':meta', 'nq:indexed', 1)
end

-- Returns the further indexes of a job, from its options.
local function othersOf(opts)
  local isJson, options = pcall(cjson.decode, opts or '')
  local ours = isJson and type(options) == 'table' and options.nq
  local others = {}
  if type(ours) ~= 'table' then return others end
  if type(ours.r) == 'string' then others[1] = 'r:' .. ours.r end
  for _, tag in ipairs(type(ours.t) == 'table' and ours.t or {}) do others[#others + 1] = 't:' .. tag end
  return others
end

local function unindexFrom(base, of, ids)
  local key = indexKey(base, of)
  for from = 1, #ids, 1000 do call('ZREM', key, unpack(ids, from, math.min(from + 999, #ids))) end
  if string.sub(of, 1, 2) == 'n:' and call('EXISTS', key) == 0 then
    call('SREM', base .. ':nq-names', string.sub(of, 3))
  end
end

-- Removes jobs from all indexes. Their hashes must still exist.
local function unindex(base, ids)
  if #ids == 0 then return end
  local names = call('SMEMBERS', base .. ':nq-names')
  local hasOthers = call('HEXISTS', base .. ':meta', 'nq:indexed') == 1
  if #names == 1 and not hasOthers then return unindexFrom(base, 'n:' .. names[1], ids) end
  local members = {}
  local function add(of, id)
    members[of] = members[of] or {}
    table.insert(members[of], id)
  end
  for _, id in ipairs(ids) do
    local job = call('HMGET', base .. ':' .. id, 'name', 'opts')
    if job[1] then add('n:' .. job[1], id) end
    if hasOthers then for _, of in ipairs(othersOf(job[2])) do add(of, id) end end
  end
  for of, some in pairs(members) do unindexFrom(base, of, some) end
end
`

/** The keys of a queue that contain jobs, with the kind of each and the state of their jobs. */
const KEPT = `
local kept = {
  { 'wait', 'list', 'waiting' }, { 'paused', 'list', 'waiting' }, { 'prioritized', 'set', 'waiting' },
  { 'waiting-children', 'set', 'waiting' }, { 'delayed', 'set', 'delayed' }, { 'active', 'list', 'active' },
  { 'completed', 'set', 'completed' }, { 'failed', 'set', 'failed' }, { 'nq-cancelled', 'set', 'cancelled' },
}
local function sizeOf(base, one) return call(one[2] == 'list' and 'LLEN' or 'ZCARD', base .. ':' .. one[1]) end

-- Returns the number of index entries minus the number of jobs in the queue.
local function gapOf(base)
  local gap = 0
  for _, name in ipairs(call('SMEMBERS', base .. ':nq-names')) do gap = gap + call('ZCARD', indexKey(base, 'n:' .. name)) end
  for _, one in ipairs(kept) do gap = gap - sizeOf(base, one) end
  return gap
end
`
export const INDEX_READS = INDEX + KEPT

/**
 * Adds the jobs of a page that are missing from the indexes. ARGV: `base`, the number of the key in `kept`, the offset from the newest
 * entry, the number of entries. Returns how many entries were read, and the remaining gap.
 */
export const REPAIR = `local call = redis.call
${INDEX_READS}
local base, one, offset, count = ARGV[1], kept[tonumber(ARGV[2])], tonumber(ARGV[3]), tonumber(ARGV[4])
local key, ids = base .. ':' .. one[1]
if one[2] == 'list' then ids = call('LRANGE', key, offset, offset + count - 1)
else ids = call('ZRANGE', key, offset, offset + count - 1, 'REV') end
for _, id in ipairs(ids) do
  local job = call('HMGET', base .. ':' .. id, 'name', 'timestamp', 'opts')
  if job[1] and job[2] and not call('ZSCORE', indexKey(base, 'n:' .. job[1]), id) then
    indexName(base, job[1], { job[2], id })
    local others = {}
    for _, of in ipairs(othersOf(job[3])) do if of ~= 'r:' .. id then others[#others + 1] = of end end
    indexOthers(base, id, job[2], others)
  end
end
return { #ids, gapOf(base) }
`

/**
 * Removes entries of an index whose jobs no longer exist. ARGV: `base`, the index, the offset, the number of entries. Returns how many
 * entries were read, and how many were removed.
 */
export const SWEEP_INDEX = `local call = redis.call
${INDEX_READS}
local base, of, offset, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local ids, gone = call('ZRANGE', indexKey(base, of), offset, offset + count - 1), {}
for _, id in ipairs(ids) do
  if call('EXISTS', base .. ':' .. id) == 0 then gone[#gone + 1] = id end
end
if #gone > 0 then unindexFrom(base, of, gone) end
return { #ids, #gone }
`
