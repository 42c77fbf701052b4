/** Answers what was trimmed, then ids and texts of the events after one seq up to another. */
export const READ = `
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
for _, id in ipairs(redis.call('HMGET', key, unpack(fields))) do
  local entry = redis.call('XRANGE', tag .. ':log', id, id)[1]
  out[#out + 1] = id
  out[#out + 1] = entry and entry[2][6] or ''
end
return out
`

/** The event with a key: its seq, id and text. */
export const BY_KEY = `
local tag, name = ARGV[1], ARGV[2]
local key = tag .. ':r:' .. name
local seq = redis.call('HGET', key, 'k:' .. ARGV[3])
local id = seq and redis.call('HGET', key, seq)
if not id then return {} end
return { seq, id, redis.call('XRANGE', tag .. ':log', id, id)[1][2][6] }
`

export const PUT_SNAPSHOT = `
local tag, name = ARGV[1], ARGV[2]
if redis.call('EXISTS', tag .. ':r:' .. name) == 0 then return 0 end
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
for first = from, to, 500 do
  local fields = {}
  for one = first, math.min(first + 499, to) do fields[#fields + 1] = tostring(one) end
  redis.call('XDEL', tag .. ':log', unpack(redis.call('HMGET', key, unpack(fields))))
  redis.call('HDEL', key, unpack(fields))
end
if to >= from then redis.call('HSET', key, 'x', tostring(to)) end
return 0
`

/**
 * The newest runs of each shard that match. What has ended is indexed by its end, and a run began
 * before it ended: so the search may stop at the first that ended before the last one found began.
 */
export const LIST_RUNS = `
local wanted = cjson.decode(ARGV[1])
local limit = wanted.limit
local source = wanted.flow and ':flow:' .. wanted.flow or ':runs'
local byEnd = false
if not wanted.flow and wanted.s then
  source = ':' .. wanted.s
  byEnd = wanted.s ~= 'running'
end
local out = {}
for _, tag in ipairs(wanted.tags) do
  local rows, offset, more = {}, 0, true
  while more and limit > 0 do
    local page = redis.call('ZREVRANGE', tag .. source, offset, offset + 199, 'WITHSCORES')
    offset = offset + 200
    more = #page == 400
    for index = 1, #page, 2 do
      if #rows >= limit then
        if not byEnd then more = false break end
        table.sort(rows, function(a, b) return a.began > b.began end)
        rows[limit + 1] = nil
        if tonumber(page[index + 1]) < rows[limit].began then more = false break end
      end
      local name = page[index]
      local run = redis.call('HMGET', tag .. ':r:' .. name, 's', 'n', 'q', 'j', 'w', 'b', 'u', 'e', 'h')
      local fits = run[1] and (not wanted.s or run[1] == wanted.s) and (not wanted.n or run[2] == wanted.n)
        and (not wanted.q or run[3] == wanted.q) and (not wanted.flow or run[5] == wanted.flow)
        and not (wanted.hideInternal and run[3] and string.sub(run[3], 1, 1) == '_')
      if fits then rows[#rows + 1] = { name = name, run = run, began = tonumber(run[6]) } end
    end
  end
  table.sort(rows, function(a, b) return a.began > b.began end)
  for index = 1, math.min(limit, #rows) do
    local row = { rows[index].name }
    for field = 1, 9 do row[field + 1] = rows[index].run[field] or '' end
    out[#out + 1] = row
  end
end
return out
`

/** Forgets runs that ended with an outcome, given as tag and name each, with all they hold. */
export const FORGET = `
local outcome, forgotten = ARGV[1], 0
for index = 2, #ARGV, 2 do
  local tag, name = ARGV[index], ARGV[index + 1]
  if redis.call('ZREM', tag .. ':' .. outcome, name) == 1 then
    local key = tag .. ':r:' .. name
    local all = redis.call('HGETALL', key)
    local ids = {}
    for at = 1, #all, 2 do
      if string.find(all[at], '^%d') then
        ids[#ids + 1] = all[at + 1]
      elseif all[at] == 'w' then
        redis.call('ZREM', tag .. ':flow:' .. all[at + 1], name)
      end
    end
    for from = 1, #ids, 1000 do
      redis.call('XDEL', tag .. ':log', unpack(ids, from, math.min(from + 999, #ids)))
    end
    redis.call('ZREM', tag .. ':runs', name)
    redis.call('UNLINK', key, tag .. ':snap:' .. name)
    forgotten = forgotten + 1
  end
end
return forgotten
`
