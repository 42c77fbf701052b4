import { LONG_RUN } from './run-scripts.ts'

/** How many events lie in one entry of a log at most: whoever reads one of them reads them all. */
const MOST_IN_ENTRY = 64

/**
 * Appends to streams, each append with its own conditions, all or nothing for each; together in one call.
 *
 * The events of a shard lie in one Redis Stream, its log, those of one append in one entry: `s` stream,
 * `n` seq of the first, and an `e` for each. A stream of ours is a hash that knows where:
 *
 *   h, x        seq of the newest event, seq up to which events were trimmed
 *   1, 2, …     ids of their entries in the log
 *   k:<key>     seq of the event with that key; see `codec.ts` for those that end with the stream's name
 *   t:<job>     the newest fence token of that job, likewise
 *   s, p        status of the run, if it is one; and what it is called and tagged, see `codec.ts`
 *   m           there are snapshots
 *   b, u, e     when it began, was updated while open, and ended; b and e with a fraction that keeps their order
 *
 * A call is numbered. One that comes again, because the connection broke before its answer, is
 * answered as the first time and does nothing.
 *
 * The fifth argument is a flat JSON array, for each stream: its shard, its name, the number of fields
 * that its appends depend on, those fields, the number of appends, and of each: `unless` and the fence's
 * job as positions among the fields, the token, the seq expected, whether it reopens, the run's new
 * status ("" for the same), its new names, the number of events, and for each the position of its key.
 * `false` stands for what is not asked for. The texts of the events follow as arguments.
 */
export const APPEND = `
local callKey, callNumber, publish, wake = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local a, i, text = cjson.decode(ARGV[5]), 1, 6
local call, sub, format, encode = redis.call, string.sub, string.format, cjson.encode

local done = call('GET', callKey)
if done then
  local number, answer = string.match(done, '^(%S+) (.*)$')
  if number == callNumber then return answer end
end

-- Printing a number takes longer than looking it up, and most are small and come again.
local printed = {}
local function digits(number)
  local known = printed[number]
  if not known then
    known = format('%d', number)
    printed[number] = known
  end
  return known
end

local time = call('TIME')
local now = format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local moment, turn = now, 1000 + time[2] % 1000

-- Runs that begin or end within one millisecond keep their order. The next one may begin before an entry is made.
local function ordered(at)
  if at ~= moment then moment, turn = at, 999 end
  if turn < 1999 then turn = turn + 1 end
  return at .. '.' .. sub(turn, 2)
end

-- What is not said anew stays.
local function merge(old, new)
  if not old then return new end
  local names, fresh = cjson.decode(old), cjson.decode(new)
  for index = 1, 4 do
    if fresh[index] ~= '' then names[index] = fresh[index] end
  end
  if fresh[5] then names[5] = fresh[5] end
  return encode(names)
end

-- The index of runs with a status. Runs that ended on the engine's own queues have a separate index. The search for '_' spares
-- most runs the decoding of their names.
local function indexOf(tag, status, names)
  local own = status ~= 'running' and names and string.find(names, '","_', 1, true)
    and sub(cjson.decode(names)[2], 1, 1) == '_'
  return tag .. (own and ':_' or ':') .. status
end

local function read(key, fields)
  if #fields <= 1000 then return call('HMGET', key, unpack(fields)) end
  local values = {}
  for from = 1, #fields, 1000 do
    local to = math.min(from + 999, #fields)
    for index, value in ipairs(call('HMGET', key, unpack(fields, from, to))) do values[from + index - 1] = value end
  end
  return values
end

local answers, answered, indexed, woken = {}, 0, {}, {}

-- Members of sorted sets and messages to channels, by key: one call for all.
local function gather(lists, key, first, second)
  local list = lists[key]
  if list then
    local size = #list
    list[size + 1], list[size + 2] = first, second
  else
    lists[key] = { first, second }
  end
end

-- All streams are read before the first write: one that cannot be read leaves nothing half done.
local streams, some = {}, 0
while a[i] do
  local key, loads = a[i] .. ':r:' .. a[i + 1], a[i + 2]
  local fields = { 'h', 's', 'p', 'b' }
  for n = 1, loads do fields[4 + n] = a[i + 2 + n] end
  some = some + 1
  streams[some] = { i, key, fields, read(key, fields) }
  local appends = a[i + 3 + loads]
  i = i + 4 + loads
  for _ = 1, appends do i = i + 8 + a[i + 7] end
end

for index = 1, some do
  local key, fields, v
  i, key, fields, v = unpack(streams[index])
  local tag, name, loads = a[i], a[i + 1], a[i + 2]
  local log = tag .. ':log'
  local head, status, names, began = tonumber(v[1] or 0), v[2], v[3], v[4]
  local wasHead, wasStatus, wasNames, wasBegun = head, status, names, began
  local out, n = {}, 0
  local updated, ended = nil, nil
  local appends = a[i + 3 + loads]
  i = i + 4 + loads
  for _ = 1, appends do
    local unless, job, token, expected, reopen = a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4]
    local run, newNames, events = a[i + 5], a[i + 6], a[i + 7]
    i = i + 8
    local reason
    if unless and v[unless] then reason = 'unless'
    elseif status and status ~= 'running' and not reopen then reason = 'ended'
    elseif job and tonumber(v[job] or 0) > token then reason = 'fence'
    elseif expected and expected ~= head then reason = 'expectedSeq' end
    answered = answered + 1
    if reason then
      answers[answered] = '!' .. reason .. ',' .. head
      i, text = i + events, text + events
    else
      local at, known, position = nil, '', 1
      while position <= events do
        local entry, size, before = { log, '*', 's', name, 'n', digits(head + 1) }, 6, head
        while position <= events and head - before < ${MOST_IN_ENTRY} do
          local k = a[i]
          if k and v[k] then
            known = known .. ',' .. position
          else
            head = head + 1
            entry[size + 1], entry[size + 2], size = 'e', ARGV[text], size + 2
            if k then
              v[k] = head
              out[n + 1], out[n + 2], n = fields[k], digits(head), n + 2
            end
          end
          i, text, position = i + 1, text + 1, position + 1
        end
        if head > before then
          local id = call('XADD', unpack(entry))
          -- Milliseconds have 13 digits until the year 2286.
          at = sub(id, 1, 13)
          for seq = before + 1, head do out[n + 1], out[n + 2], n = digits(seq), id, n + 2 end
        end
      end
      at = at or now
      if job and tonumber(v[job] or 0) < token then
        v[job] = token
        out[n + 1], out[n + 2], n = fields[job], digits(token), n + 2
      end
      if not run and reopen and status ~= 'running' then run = 'running' end
      if run then
        began = began or ordered(at)
        local fresh = run ~= '' and run or status or 'running'
        if fresh ~= 'running' then ended = ordered(at) elseif status and status ~= 'running' then ended = '' end
        status = fresh
        if newNames and newNames ~= names then names = merge(names, newNames) end
      end
      updated = at
      answers[answered] = digits(head) .. ',' .. at .. known
    end
  end
  if updated then
    out[n + 1], out[n + 2], n = 'h', digits(head), n + 2
    if status == 'running' then out[n + 1], out[n + 2], n = 'u', updated, n + 2 end
    if status ~= wasStatus then out[n + 1], out[n + 2], n = 's', status, n + 2 end
    if names ~= wasNames then out[n + 1], out[n + 2], n = 'p', names, n + 2 end
    if began ~= wasBegun then out[n + 1], out[n + 2], n = 'b', began, n + 2 end
    if ended then out[n + 1], out[n + 2], n = 'e', ended, n + 2 end
    if n <= 1000 then
      call('HSET', key, unpack(out))
    else
      for from = 1, n, 1000 do call('HSET', key, unpack(out, from, math.min(from + 999, n))) end
    end
    if status ~= wasStatus or ended then
      local set = indexOf(tag, status, names)
      if wasStatus then
        local was = indexOf(tag, wasStatus, wasNames)
        if was ~= set then call('ZREM', was, name) end
        -- Releases before have one index for all.
        if sub(was, #tag + 2, #tag + 2) == '_' then call('ZREM', tag .. ':' .. wasStatus, name) end
      end
      gather(indexed, set, status == 'running' and began or ended, name)
      if status ~= 'running' then
        if ended - began > ${LONG_RUN} then gather(indexed, tag .. ':long', began, name) end
      elseif wasStatus and wasStatus ~= 'running' then
        call('ZREM', tag .. ':long', name)
      end
    end
    if names ~= wasNames and sub(names, -3) ~= '""]' then
      local called = cjson.decode(names)
      if called[4] ~= '' then gather(indexed, tag .. ':flow:' .. called[4], began, name) end
      local gone = wasNames and cjson.decode(wasNames)[5]
      if gone and gone ~= 0 then for _, one in ipairs(gone) do call('ZREM', tag .. ':tag:' .. one, name) end end
      if called[5] and called[5] ~= 0 then
        for _, one in ipairs(called[5]) do gather(indexed, tag .. ':tag:' .. one, began, name) end
      end
    end
    if head > wasHead then gather(woken, tag .. wake, head, name) end
  end
end

for key, members in pairs(indexed) do call('ZADD', key, unpack(members)) end
for channel, heads in pairs(woken) do call(publish, channel, 'e' .. encode(heads)) end

local answer = table.concat(answers, ';')
call('SET', callKey, callNumber .. ' ' .. answer, 'PX', 600000)
return answer
`
