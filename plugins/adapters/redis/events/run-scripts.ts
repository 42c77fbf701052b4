/** Milliseconds. Runs that took longer have an index of their own, by begin; see `run-list.ts`. */
export const LONG_RUN = 1000

/**
 * One page of each of some indexes, from a score downwards: what matches, and where the next page begins.
 *
 * The argument is JSON: `sources`, each a shard, an index, a score and how many of that score were seen; `count`, how
 * many members to look at of each; and what a run has to be. Answers for each source: the score and the number seen of
 * it where the next page begins (or `''` at the end), and the rows that match: name and fields.
 */
export const SCAN_RUNS = `
local wanted = cjson.decode(ARGV[1])
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

local function fits(name, run)
  if not run[1] or (wanted.s and run[1] ~= wanted.s) then return false end
  local row = { name = name, began = tonumber(run[3] or 0) }
  if wanted.before and row.began >= wanted.before then return false end
  if last and not newer({ began = last, name = wanted.last }, row) then return false end
  local called = run[2] and cjson.decode(run[2]) or {}
  return (not wanted.n or called[1] == wanted.n) and (not wanted.q or called[2] == wanted.q)
    and (not wanted.flow or called[4] == wanted.flow)
    and not (wanted.hideInternal and called[2] and string.sub(called[2], 1, 1) == '_')
end

for index, source in ipairs(wanted.sources) do
  local tag, key, from, seen = source[1], source[1] .. source[2], source[3], source[4]
  local page = redis.call('ZRANGE', key, from, '-inf', 'BYSCORE', 'REV', 'LIMIT', seen, wanted.count, 'WITHSCORES')
  local rows = {}
  for at = 1, #page, 2 do
    local name, score = page[at], page[at + 1]
    if score == from then seen = seen + 1 else from, seen = score, 1 end
    local run = redis.call('HMGET', tag .. ':r:' .. name, 's', 'p', 'b', 'u', 'e', 'h')
    if fits(name, run) then
      local row = { name }
      for field = 1, 6 do row[field + 1] = run[field] or '' end
      rows[#rows + 1] = row
    end
  end
  out[index] = { #page == 2 * wanted.count and from or '', seen, rows }
end
return out
`

/** Puts long runs of an index of ended ones into the index of those, a page at a time; answers whether there are more. */
export const INDEX_LONG = `
local tag, outcome, from, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local names = redis.call('ZRANGE', tag .. ':' .. outcome, from, from + count - 1)
for _, name in ipairs(names) do
  local run = redis.call('HMGET', tag .. ':r:' .. name, 'b', 'e')
  local began, ended = tonumber(run[1] or 0), tonumber(run[2] or 0)
  if began and ended and ended - began > ${LONG_RUN} then redis.call('ZADD', tag .. ':long', run[1], name) end
end
return #names == count and 1 or 0
`
