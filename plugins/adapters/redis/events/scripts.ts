/** Where the text of an event is in the fields of its entry in the log, which tell the seq of the first. */
const FIND = `
local function textOf(entry, seq)
  return entry and entry[2][6 + 2 * (seq - tonumber(entry[2][4]))]
end
`

/** Answers what was trimmed, then ids of entries and texts of the events after one seq up to another. */
export const READ = `${FIND}
local tag, name = ARGV[1], ARGV[2]
local after, last, count, reverse = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local key = tag .. ':r:' .. name
local known = redis.call('HMGET', key, 'h', 'x')
local head, trimmed = tonumber(known[1] or 0), tonumber(known[2] or 0)
local from, to = math.max(after, trimmed) + 1, math.min(last, head)
if reverse then from = math.max(from, to - count + 1) else to = math.min(to, from + count - 1) end
local out = { tostring(trimmed), tostring(from) }
if to < from then return out end
local fields = {}
for seq = from, to do fields[#fields + 1] = tostring(seq) end
local read, entry
for index, id in ipairs(redis.call('HMGET', key, unpack(fields))) do
  if id ~= read then read, entry = id, redis.call('XRANGE', tag .. ':log', id, id)[1] end
  out[#out + 1] = id
  out[#out + 1] = textOf(entry, from + index - 1) or ''
end
return out
`

/** The event with a key: its seq, the id of its entry and its text. */
export const BY_KEY = `${FIND}
local tag, name = ARGV[1], ARGV[2]
local key = tag .. ':r:' .. name
local seq = redis.call('HGET', key, ARGV[3])
local id = seq and redis.call('HGET', key, seq)
if not id then return {} end
return { seq, id, textOf(redis.call('XRANGE', tag .. ':log', id, id)[1], seq) }
`

export const PUT_SNAPSHOT = `
local tag, name = ARGV[1], ARGV[2]
local key = tag .. ':r:' .. name
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('HSET', key, 'm', 1)
return redis.call('HSET', tag .. ':snap:' .. name, ARGV[4] .. ':' .. ARGV[3], ARGV[5])
`

/** The newest snapshot of a reducer up to a seq: its seq and state. */
export const GET_SNAPSHOT = `
local key = ARGV[1] .. ':snap:' .. ARGV[2]
local reducer, limit = ARGV[3], tonumber(ARGV[4])
local best, found = -1, nil
for _, field in ipairs(redis.call('HKEYS', key)) do
  local at = string.find(field, ':', 1, true)
  local seq = tonumber(string.sub(field, 1, at - 1))
  if seq <= limit and seq > best and string.sub(field, at + 1) == reducer then best, found = seq, field end
end
if not found then return {} end
return { tostring(best), redis.call('HGET', key, found) }
`

/** How many events one call drops at most: Redis does nothing else meanwhile. */
const MOST_DROPPED = 2000

/**
 * Drops events up to a seq that a snapshot covers, as many as one call may; answers 1 when there are more, and -1 when
 * no snapshot covers them. Their keys stay.
 */
export const TRIM = `
local tag, name, seq = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key = tag .. ':r:' .. name
local known = redis.call('HMGET', key, 'h', 'x')
if not known[1] then return 0 end
local covered = false
for _, field in ipairs(redis.call('HKEYS', tag .. ':snap:' .. name)) do
  if tonumber(string.match(field, '^%d+')) >= seq then covered = true end
end
if not covered then return -1 end
local from, last = tonumber(known[2] or 0) + 1, math.min(seq, tonumber(known[1]))
local to = math.min(last, from + ${MOST_DROPPED} - 1)
-- An entry goes with the last of its events.
local kept = redis.call('HGET', key, tostring(to + 1))
for first = from, to, 500 do
  local fields, gone = {}, {}
  for one = first, math.min(first + 499, to) do fields[#fields + 1] = tostring(one) end
  for _, id in ipairs(redis.call('HMGET', key, unpack(fields))) do
    if id and id ~= kept and id ~= gone[#gone] then gone[#gone + 1] = id end
  end
  if #gone > 0 then redis.call('XDEL', tag .. ':log', unpack(gone)) end
  redis.call('HDEL', key, unpack(fields))
end
if to >= from then redis.call('HSET', key, 'x', tostring(to)) end
return to < last and 1 or 0
`

const COLLECT = `
-- The ids of entries that hold events of a run from one seq on; answers where the next call goes on, if there are more.
local function collect(ids, key, from, head)
  while from <= head do
    if left <= 0 then return from end
    local fields = {}
    for seq = from, math.min(from + math.min(left, 500) - 1, head) do fields[#fields + 1] = tostring(seq) end
    for _, id in ipairs(call('HMGET', key, unpack(fields))) do
      if id and id ~= ids[#ids] then ids[#ids + 1] = id end
    end
    from, left = from + #fields, left - #fields
  end
end
`

/**
 * Forgets the runs of shards that ended with an outcome first (with `_` before it: on queues of the engine's own), and all
 * they hold: for each shard up to a moment, and so many at most. Of a run with more events than a call may drop, the
 * oldest go, and it goes with a later call.
 */
export const FORGET = `
local call, suffix, forgotten = redis.call, ':' .. ARGV[1], 0
local outcome = string.gsub(ARGV[1], '^_', '')
local left = ${MOST_DROPPED}

${COLLECT}
for at = 2, #ARGV, 3 do
  local tag, upTo, limit = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local names = call('ZRANGE', tag .. suffix, '-inf', upTo, 'BYSCORE', 'LIMIT', 0, limit)
  local keys, ids, gone = {}, {}, {}
  for _, name in ipairs(names) do
    if left <= 0 then break end
    local key = tag .. ':r:' .. name
    -- Most runs have few events, and no snapshot.
    local known = call('HMGET', key, 'p', 'h', '1', '2', '3', '4', 'm', 'x', 's')
    local called, head, trimmed = known[1], tonumber(known[2] or 0), tonumber(known[8] or 0)
    local rest
    -- A release before may have opened it again, and knows nothing of the index of the engine's own.
    local stale = known[9] ~= outcome
    if not stale and trimmed < 4 then
      for field = 3, 6 do
        local id = known[field]
        if id and id ~= ids[#ids] then ids[#ids + 1] = id end
      end
    end
    if not stale and head > 4 then rest = collect(ids, key, math.max(4, trimmed) + 1, head) end
    if rest then
      call('HSET', key, 'x', tostring(rest - 1))
    else
      left = left - 1
      gone[#gone + 1] = name
      if not stale then keys[#keys + 1] = key end
      if not stale and known[7] then keys[#keys + 1] = tag .. ':snap:' .. name end
      if not stale and called and string.sub(called, -3) ~= '""]' then
        local names = cjson.decode(called)
        if names[4] ~= '' then call('ZREM', tag .. ':flow:' .. names[4], name) end
        if names[5] and names[5] ~= 0 then
          for _, one in ipairs(names[5]) do call('ZREM', tag .. ':tag:' .. one, name) end
        end
      end
    end
  end
  for from = 1, #ids, 1000 do call('XDEL', tag .. ':log', unpack(ids, from, math.min(from + 999, #ids))) end
  for from = 1, #keys, 1000 do call('UNLINK', unpack(keys, from, math.min(from + 999, #keys))) end
  if #gone > 0 then
    call('ZREMRANGEBYRANK', tag .. suffix, 0, #gone - 1)
    call('ZREM', tag .. ':long', unpack(gone))
  end
  forgotten = forgotten + #gone
end
return forgotten
`

/**
 * Forgets streams of a shard that are no runs, if their newest event is the given one. Drops only the oldest events of a
 * stream that has more than one call may drop. Arguments: the shard, then names and seqs. Returns how many streams were
 * forgotten, and how many of the given ones were processed: the last of these may have events left, and is passed again.
 */
export const FORGET_STREAMS = `
local call, tag = redis.call, ARGV[1]
local left, looked, forgotten = ${MOST_DROPPED}, 0, 0
${COLLECT}
local keys, ids = {}, {}
for at = 2, #ARGV, 2 do
  if left <= 0 then break end
  local key = tag .. ':r:' .. ARGV[at]
  local known = call('HMGET', key, 'h', 's', 'x', 'm')
  if known[1] == ARGV[at + 1] and not known[2] then
    local rest = collect(ids, key, tonumber(known[3] or 0) + 1, tonumber(known[1]))
    if rest then
      call('HSET', key, 'x', tostring(rest - 1))
      break
    end
    forgotten = forgotten + 1
    keys[#keys + 1] = key
    if known[4] then keys[#keys + 1] = tag .. ':snap:' .. ARGV[at] end
  end
  left, looked = left - 1, looked + 1
end
for from = 1, #ids, 1000 do call('XDEL', tag .. ':log', unpack(ids, from, math.min(from + 999, #ids))) end
for from = 1, #keys, 1000 do call('UNLINK', unpack(keys, from, math.min(from + 999, #keys))) end
return { forgotten, looked }
`
