/*
 * The scripts of the event store. `append-script.ts` documents the keys and their fields. `tag` is the hash tag of a shard, `name` the
 * name of a stream; `<tag>:r:<name>` is the hash of the stream.
 */

/**
 * Lua function: returns the JSON text of an event. `entry` is the log entry of the event, `[id, fields]`, with the fields
 * `s, <stream>, n, <seq of the first event>, e, <event>, e, <event>, …`.
 */
const FIND = `
local function textOf(entry, seq)
  return entry and entry[2][6 + 2 * (seq - tonumber(entry[2][4]))]
end
`

/**
 * Reads events of a stream.
 *
 * ARGV: tag, name, the `seq` after which to read, the last `seq` to read, the maximum number of events, `1` to read the newest events
 * of the range instead of the oldest.
 *
 * Returns the `seq` up to which events were trimmed, the `seq` of the first event, and then the entry id and the JSON text of each
 * event in ascending order.
 */
export const READ = `${FIND}
local tag, name = ARGV[1], ARGV[2]
local after, last, count, reverse = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local key = tag .. ':r:' .. name
local stream = redis.call('HMGET', key, 'h', 'x')
local head, trimmed = tonumber(stream[1] or 0), tonumber(stream[2] or 0)
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

/** Reads the event with a key. ARGV: tag, name, the field of the key. Returns its `seq`, entry id and JSON text, or an empty list. */
export const BY_KEY = `${FIND}
local tag, name = ARGV[1], ARGV[2]
local key = tag .. ':r:' .. name
local seq = redis.call('HGET', key, ARGV[3])
local id = seq and redis.call('HGET', key, seq)
if not id then return {} end
return { seq, id, textOf(redis.call('XRANGE', tag .. ':log', id, id)[1], seq) }
`

/** Stores a snapshot if the stream exists. ARGV: tag, name, the reducer, the `seq`, the encoded state. */
export const PUT_SNAPSHOT = `
local tag, name = ARGV[1], ARGV[2]
local key = tag .. ':r:' .. name
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('HSET', key, 'm', 1)
return redis.call('HSET', tag .. ':snap:' .. name, ARGV[4] .. ':' .. ARGV[3], ARGV[5])
`

/**
 * Reads the newest snapshot of a reducer up to a `seq`. ARGV: tag, name, the reducer, the `seq`. Fields of the hash are named
 * `<seq>:<reducer>`. Returns the `seq` and the state, or an empty list.
 */
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

/** The maximum number of events that one call drops, because a script blocks Redis. */
const MAX_DROPPED = 2000

/**
 * Drops events up to a `seq`, if a snapshot covers them. The keys of the events stay, so that they are not appended again.
 *
 * ARGV: tag, name, the `seq`.
 *
 * Returns 0 when all are dropped, 1 if another call has to drop more, and -1 if no snapshot covers them.
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
local to = math.min(last, from + ${MAX_DROPPED} - 1)
-- An entry is deleted together with the last of its events.
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
-- Adds the ids of the log entries of the events from one seq on to ids. Uses up the budget in the variable left. Returns the seq at
-- which the next call has to continue, or nil if all events are collected.
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
 * Deletes the oldest runs of one outcome with all their data. If a run has more events than one call may drop, the call drops its
 * oldest events, and a later call deletes the run.
 *
 * ARGV: the name of the index, which is the outcome (with the prefix `_` for the engine's own queues). Then for each shard: its tag,
 * the score up to which runs are deleted, and the maximum number of runs.
 *
 * Returns the number of deleted runs.
 */
export const REMOVE_ENDED_RUNS = `
local call, suffix, forgotten = redis.call, ':' .. ARGV[1], 0
local outcome = string.gsub(ARGV[1], '^_', '')
local left = ${MAX_DROPPED}

${COLLECT}
for arg = 2, #ARGV, 3 do
  local tag, upTo, limit = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
  local names = call('ZRANGE', tag .. suffix, '-inf', upTo, 'BYSCORE', 'LIMIT', 0, limit)
  local keys, ids, gone = {}, {}, {}
  for _, name in ipairs(names) do
    if left <= 0 then break end
    local key = tag .. ':r:' .. name
    -- Most runs have at most four events and no snapshot, so one call reads everything.
    local fields = call('HMGET', key, 'p', 'h', '1', '2', '3', '4', 'm', 'x', 's')
    local encodedNames, head, hasSnapshots = fields[1], tonumber(fields[2] or 0), fields[7]
    local trimmed, status = tonumber(fields[8] or 0), fields[9]
    local rest
    -- An instance of the release before may have reopened the run. It does not update the index of the engine's own queues.
    local stale = status ~= outcome
    if not stale and trimmed < 4 then
      for field = 3, 6 do
        local id = fields[field]
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
      if not stale and hasSnapshots then keys[#keys + 1] = tag .. ':snap:' .. name end
      -- Names that end with an empty flow have neither flow nor tags.
      if not stale and encodedNames and string.sub(encodedNames, -3) ~= '""]' then
        local names = cjson.decode(encodedNames)
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
 * Deletes streams of a shard that are not runs, if their newest event is still the given one. If a stream has more events than one
 * call may drop, the call drops its oldest events and stops.
 *
 * ARGV: the tag of the shard, then for each stream its name and the `seq` of its newest event.
 *
 * Returns the number of deleted streams, and the number of processed arguments. The caller passes the remaining streams again.
 */
export const FORGET_STREAMS = `
local call, tag = redis.call, ARGV[1]
local left, processed, forgotten = ${MAX_DROPPED}, 0, 0
${COLLECT}
local keys, ids = {}, {}
for arg = 2, #ARGV, 2 do
  if left <= 0 then break end
  local name, expected = ARGV[arg], ARGV[arg + 1]
  local key = tag .. ':r:' .. name
  local fields = call('HMGET', key, 'h', 's', 'x', 'm')
  local head, status, trimmed, hasSnapshots = fields[1], fields[2], fields[3], fields[4]
  if head == expected and not status then
    local rest = collect(ids, key, tonumber(trimmed or 0) + 1, tonumber(head))
    if rest then
      call('HSET', key, 'x', tostring(rest - 1))
      break
    end
    forgotten = forgotten + 1
    keys[#keys + 1] = key
    if hasSnapshots then keys[#keys + 1] = tag .. ':snap:' .. name end
  end
  left, processed = left - 1, processed + 1
end
for from = 1, #ids, 1000 do call('XDEL', tag .. ':log', unpack(ids, from, math.min(from + 999, #ids))) end
for from = 1, #keys, 1000 do call('UNLINK', unpack(keys, from, math.min(from + 999, #keys))) end
return { forgotten, processed }
`
