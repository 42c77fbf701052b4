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

/** Drops events up to a seq that a snapshot covers; answers -1 when none does. Their keys stay. */
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
local from, to = tonumber(known[2] or 0) + 1, math.min(seq, tonumber(known[1]))
-- An entry goes with the last of its events.
local kept = redis.call('HGET', key, tostring(to + 1))
for first = from, to, 500 do
  local fields, gone = {}, {}
  for one = first, math.min(first + 499, to) do fields[#fields + 1] = tostring(one) end
  for _, id in ipairs(redis.call('HMGET', key, unpack(fields))) do
    if id ~= kept and id ~= gone[#gone] then gone[#gone + 1] = id end
  end
  if #gone > 0 then redis.call('XDEL', tag .. ':log', unpack(gone)) end
  redis.call('HDEL', key, unpack(fields))
end
if to >= from then redis.call('HSET', key, 'x', tostring(to)) end
return 0
`

/**
 * The newest runs of each shard that match. What has ended is indexed by its end, and a run began
 * before it ended: so the search may stop at the first that ended before the last one found began.
 * Runs that began at one moment are ordered by name.
 */
export const LIST_RUNS = `
local wanted = cjson.decode(ARGV[1])
local limit = wanted.limit
local sources = { ':running', ':completed', ':failed', ':cancelled' }
if wanted.tag then sources = { ':tag:' .. wanted.tag }
elseif wanted.flow then sources = { ':flow:' .. wanted.flow }
elseif wanted.s then sources = { ':' .. wanted.s } end
local byBegin = wanted.tag or wanted.flow
local last = wanted.began and tonumber(wanted.began)
local out = {}

-- By bytes, as sorted sets are, since Lua compares by the locale of the server.
local function newer(a, b)
  if a.began ~= b.began then return a.began > b.began end
  for at = 1, math.min(#a.name, #b.name) do
    local one, other = string.byte(a.name, at), string.byte(b.name, at)
    if one ~= other then return one > other end
  end
  return #a.name > #b.name
end

local function search(tag, source)
  local byEnd = not byBegin and source ~= ':running'
  local from = '+inf'
  if not byEnd then from = wanted.began or wanted.before and '(' .. wanted.before or from end
  local rows, offset, more = {}, 0, true
  while more and limit > 0 do
    local page = redis.call('ZRANGE', tag .. source, from, '-inf', 'BYSCORE', 'REV', 'LIMIT', offset, 200, 'WITHSCORES')
    offset = offset + 200
    more = #page == 400
    for index = 1, #page, 2 do
      if #rows >= limit then
        if not byEnd then more = false break end
        table.sort(rows, newer)
        rows[limit + 1] = nil
        if tonumber(page[index + 1]) < rows[limit].began then more = false break end
      end
      local name = page[index]
      local run = redis.call('HMGET', tag .. ':r:' .. name, 's', 'p', 'b', 'u', 'e', 'h')
      local called = run[2] and cjson.decode(run[2]) or {}
      local row = { name = name, run = run, began = tonumber(run[3] or 0) }
      local fits = run[1] and (not wanted.s or run[1] == wanted.s) and (not wanted.n or called[1] == wanted.n)
        and (not wanted.q or called[2] == wanted.q) and (not wanted.flow or called[4] == wanted.flow)
        and not (wanted.hideInternal and called[2] and string.sub(called[2], 1, 1) == '_')
        and (not wanted.before or row.began < wanted.before)
        and (not last or newer({ began = last, name = wanted.last }, row))
      if fits then rows[#rows + 1] = row end
    end
  end
  table.sort(rows, newer)
  for index = 1, math.min(limit, #rows) do
    local row = { rows[index].name }
    for field = 1, 6 do row[field + 1] = rows[index].run[field] or '' end
    out[#out + 1] = row
  end
end

for _, tag in ipairs(wanted.shards) do
  for _, source in ipairs(sources) do search(tag, source) end
end
return out
`

/**
 * Forgets the runs of shards that ended with an outcome first, and all they hold: for each shard up to
 * a moment, and so many at most.
 */
export const FORGET = `
local call, suffix, forgotten = redis.call, ':' .. ARGV[1], 0
for at = 2, #ARGV, 3 do
  local tag, upTo, limit = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local names = call('ZRANGE', tag .. suffix, '-inf', upTo, 'BYSCORE', 'LIMIT', 0, limit)
  local keys, ids = {}, {}
  for _, name in ipairs(names) do
    local key = tag .. ':r:' .. name
    keys[#keys + 1] = key
    -- Most runs have few events, and no snapshot.
    local known = call('HMGET', key, 'p', 'h', '1', '2', '3', '4', 'm')
    if known[7] then keys[#keys + 1] = tag .. ':snap:' .. name end
    local called, head = known[1], tonumber(known[2] or 0)
    if called and string.sub(called, -3) ~= '""]' then
      local names = cjson.decode(called)
      if names[4] ~= '' then call('ZREM', tag .. ':flow:' .. names[4], name) end
      if names[5] and names[5] ~= 0 then
        for _, one in ipairs(names[5]) do call('ZREM', tag .. ':tag:' .. one, name) end
      end
    end
    for field = 3, 6 do
      local id = known[field]
      if id and id ~= ids[#ids] then ids[#ids + 1] = id end
    end
    for first = 5, head, 500 do
      local fields = {}
      for seq = first, math.min(first + 499, head) do fields[#fields + 1] = tostring(seq) end
      for _, id in ipairs(call('HMGET', key, unpack(fields))) do
        if id and id ~= ids[#ids] then ids[#ids + 1] = id end
      end
    end
  end
  for from = 1, #ids, 1000 do call('XDEL', tag .. ':log', unpack(ids, from, math.min(from + 999, #ids))) end
  for from = 1, #keys, 1000 do call('UNLINK', unpack(keys, from, math.min(from + 999, #keys))) end
  if #names > 0 then call('ZREMRANGEBYRANK', tag .. suffix, 0, #names - 1) end
  forgotten = forgotten + #names
end
return forgotten
`
