/** Runs that took longer than this many milliseconds are in the index `long`, which is ordered by their start. See `run-list.ts`. */
export const LONG_RUN = 1000

/**
 * Reads one page of each of several indexes of runs, in descending order of their scores.
 *
 * ARGV[1] is a JSON object:
 *
 * - `sources`: the indexes, each as `[tag of the shard, name of the index, score, seen]`. The page begins at the score, after `seen`
 *   members with that score.
 * - `count`: the maximum number of members to read of each index.
 * - the filter: `s` status, `n` name, `q` queue, `flow`, `hideInternal`, `before` (start), `began` and `last` (start and name of the
 *   last run of the previous page).
 *
 * Returns for each source `[score, seen, rows]`: where the next page begins (the score is `''` at the end), and the matching runs. A
 * row is the name of the run, followed by the fields of `RUN_FIELDS` (see `codec.ts`).
 */
export const SCAN_RUNS = `
local wanted = cjson.decode(ARGV[1])
local last = wanted.began and tonumber(wanted.began)
local out = {}

-- Compares names by bytes, like sorted sets do. The operators of Lua use the locale of the server.
local function newer(a, b)
  if a.began ~= b.began then return a.began > b.began end
  for position = 1, math.min(#a.name, #b.name) do
    local one, other = string.byte(a.name, position), string.byte(b.name, position)
    if one ~= other then return one > other end
  end
  return #a.name > #b.name
end

-- run: the fields of RUN_FIELDS.
local function matches(name, run)
  local status, encodedNames, began = run[1], run[2], run[3]
  if not status or (wanted.s and status ~= wanted.s) then return false end
  local row = { name = name, began = tonumber(began or 0) }
  if wanted.before and row.began >= wanted.before then return false end
  if last and not newer({ began = last, name = wanted.last }, row) then return false end
  local names = encodedNames and cjson.decode(encodedNames) or {}
  local runName, queue, flow = names[1], names[2], names[4]
  return (not wanted.n or runName == wanted.n) and (not wanted.q or queue == wanted.q)
    and (not wanted.flow or flow == wanted.flow)
    and not (wanted.hideInternal and queue and string.sub(queue, 1, 1) == '_')
end

for index, source in ipairs(wanted.sources) do
  local tag, key, from, seen = source[1], source[1] .. source[2], source[3], source[4]
  local page = redis.call('ZRANGE', key, from, '-inf', 'BYSCORE', 'REV', 'LIMIT', seen, wanted.count, 'WITHSCORES')
  local rows = {}
  for position = 1, #page, 2 do
    local name, score = page[position], page[position + 1]
    if score == from then seen = seen + 1 else from, seen = score, 1 end
    local run = redis.call('HMGET', tag .. ':r:' .. name, 's', 'p', 'b', 'u', 'e', 'h')
    if matches(name, run) then
      local row = { name }
      for field = 1, 6 do row[field + 1] = run[field] or '' end
      rows[#rows + 1] = row
    end
  end
  out[index] = { #page == 2 * wanted.count and from or '', seen, rows }
end
return out
`

/**
 * Adds long runs to the index `long`. It reads one page of an index of ended runs.
 *
 * ARGV: the tag of the shard, the outcome, the rank of the first run to read, the number of runs to read.
 *
 * Returns 1 if the index may have more runs, or else 0.
 */
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
