import { LONG_RUN } from './run-scripts.ts'

/** The maximum number of events in one log entry, as for appends. */
const MAX_PER_ENTRY = 64

/**
 * Stores parts of streams that were copied from another store. `append-script.ts` documents the keys.
 *
 * ARGV[1] is a JSON array with one object for each stream:
 *
 * - `t` tag, `s` name of the stream, `x` the trimmed part of a new stream, `n` the `seq` before the first event
 * - `k`: for each event the field of its key, or false
 * - `m`: snapshots as `[field, state]`
 * - `f`: further fields of the hash, as `[field, value]`; present in the last part
 * - `r`: the run, in the last part: `s` status, `p` encoded names, `b`, `u`, `e` moments, `i` the name of its index
 *
 * The further arguments are the JSON texts of all events, in order.
 *
 * Returns the position of the first stream whose newest event is another one than expected, with its `seq`, or an empty list. In the
 * first case, nothing is stored.
 */
export const COPY = `
local call, parts, text = redis.call, cjson.decode(ARGV[1]), 2
local function digits(number) return string.format('%d', number) end
local heads = {}
for index, part in ipairs(parts) do
  local known = call('HGET', part.t .. ':r:' .. part.s, 'h')
  heads[index] = tonumber(known or part.x)
  if #part.k > 0 and heads[index] ~= part.n then return { index, heads[index] } end
end

local function dropIndexes(tag, key, name)
  local old = call('HMGET', key, 's', 'p')
  if not old[1] then return end
  for _, status in ipairs({ 'running', 'completed', 'failed', 'cancelled' }) do
    call('ZREM', tag .. ':' .. status, name)
    call('ZREM', tag .. ':_' .. status, name)
  end
  call('ZREM', tag .. ':long', name)
  local names = old[2] and cjson.decode(old[2]) or {}
  if names[4] and names[4] ~= '' then call('ZREM', tag .. ':flow:' .. names[4], name) end
  if names[5] and names[5] ~= 0 then for _, one in ipairs(names[5]) do call('ZREM', tag .. ':tag:' .. one, name) end end
end

for index, part in ipairs(parts) do
  local key, head = part.t .. ':r:' .. part.s, heads[index]
  if part.x > 0 then call('HSETNX', key, 'x', digits(part.x)) end
  local event = 1
  while event <= #part.k do
    local entry, first = { part.t .. ':log', '*', 's', part.s, 'n', digits(head + 1) }, event
    while event <= #part.k and event - first < ${MAX_PER_ENTRY} do
      entry[#entry + 1], entry[#entry + 2] = 'e', ARGV[text]
      event, text = event + 1, text + 1
    end
    local id, writes = call('XADD', unpack(entry)), {}
    for one = first, event - 1 do
      head = head + 1
      writes[#writes + 1], writes[#writes + 2] = digits(head), id
      if part.k[one] then writes[#writes + 1], writes[#writes + 2] = part.k[one], digits(head) end
    end
    call('HSET', key, unpack(writes))
  end
  call('HSET', key, 'h', digits(head))
  for _, one in ipairs(part.m) do
    call('HSET', key, 'm', 1)
    call('HSET', part.t .. ':snap:' .. part.s, one[1], one[2])
  end
  for _, one in ipairs(part.f or {}) do call('HSET', key, one[1], one[2]) end
  local run = part.r
  if run then
    dropIndexes(part.t, key, part.s)
    call('HSET', key, 's', run.s, 'p', run.p, 'b', run.b, 'u', run.u)
    if run.e then call('HSET', key, 'e', run.e) else call('HDEL', key, 'e') end
    call('ZADD', part.t .. ':' .. run.i, run.e or run.b, part.s)
    if run.e and run.e - run.b > ${LONG_RUN} then call('ZADD', part.t .. ':long', run.b, part.s) end
    local names = cjson.decode(run.p)
    if names[4] ~= '' then call('ZADD', part.t .. ':flow:' .. names[4], run.b, part.s) end
    if names[5] and names[5] ~= 0 then
      for _, one in ipairs(names[5]) do call('ZADD', part.t .. ':tag:' .. one, run.b, part.s) end
    end
  end
end
return {}
`
