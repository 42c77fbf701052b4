import { LONG_RUN } from './run-scripts.ts'

/** The maximum number of events in one log entry. A read of one event reads its whole entry. */
const MAX_PER_ENTRY = 64

/**
 * Appends to streams. One call contains many appends. Each has its own conditions, and is accepted or rejected as a whole.
 *
 * ## Keys
 *
 * `<tag>` is the hash tag of a shard.
 *
 * - `<tag>:log` is a Redis Stream, the log of the shard. Each entry contains the events of one append, with the fields `s` (the name
 *   of the stream), `n` (the `seq` of the first event), and one `e` for each event.
 * - `<tag>:r:<stream>` is the hash of a stream, with the fields:
 *
 *   | field | value |
 *   |---|---|
 *   | `h` | `seq` of the newest event (head) |
 *   | `x` | `seq` up to which events were trimmed |
 *   | `1`, `2`, … | the id of the log entry of the event with that `seq` |
 *   | `k:<key>`, `K:<prefix>` | the `seq` of the event with that key (`fieldOf` in `codec.ts` explains the upper case form) |
 *   | `t:<job>`, `T:<prefix>` | the newest fence token of that job |
 *   | `s` | the status, if the stream is a run |
 *   | `p` | the names and tags of the run (`encodeNames` in `codec.ts`) |
 *   | `m` | present if there are snapshots |
 *   | `b`, `u`, `e` | when the run began, was updated while it was running, and ended; `b` and `e` have a fraction that preserves their order |
 *
 * - `<tag>:<status>`, `<tag>:_<status>`, `<tag>:long`, `<tag>:flow:<flow>` and `<tag>:tag:<tag>` are the indexes of runs.
 *
 * ## Arguments
 *
 * 1. the key of the last call of this pipeline
 * 2. the number of this call
 * 3. the command to publish with, `PUBLISH` or `SPUBLISH`
 * 4. the suffix of the channel
 * 5. the header, a flat JSON array
 * 6. and following: the JSON texts of all events, in the order of the header
 *
 * The header contains for each stream: the tag of its shard, its name, the number of fields that its appends depend on, those fields,
 * the number of its appends, and then for each append eight members and one for each event:
 *
 * - the position of the field of `unless`
 * - the position of the field of the fence's job
 * - the token of the fence
 * - the expected `seq`
 * - true if the append reopens the run
 * - the new status of the run, `""` to keep it
 * - the new names of the run (`encodeNames`)
 * - the number of events
 * - for each event: the position of the field of its key
 *
 * `false` stands for an absent value. A position is an index into the fields that the script reads: four fixed ones (`h`, `s`, `p`,
 * `b`), followed by the listed ones.
 *
 * ## Result
 *
 * One text for each append, separated by `;`: `!<reason>,<head>` if it was rejected, or `<head>,<ts>` followed by the positions of the
 * events that were skipped because their keys are known.
 *
 * ## Invariants
 *
 * - All streams are read before the first write, so that an error while reading leaves nothing half done.
 * - A call takes effect once. If the connection broke before the result arrived, the client repeats the call with the same number, and
 *   the script returns the stored result.
 */
export const APPEND = `
local callKey, callNumber, publish, channelSuffix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local header, position, text = cjson.decode(ARGV[5]), 1, 6
local call, sub, format, encode = redis.call, string.sub, string.format, cjson.encode

local lastCall = call('GET', callKey)
if lastCall then
  local number, result = string.match(lastCall, '^(%S+) (.*)$')
  if number == callNumber then return result end
end

-- Formatting a number is slower than a look-up, and most numbers are small and repeat.
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
local moment, fraction = now, 1000 + time[2] % 1000

-- Appends a fraction to a moment, so that runs that begin or end within one millisecond keep their order.
local function ordered(at)
  if at ~= moment then moment, fraction = at, 999 end
  if fraction < 1999 then fraction = fraction + 1 end
  return at .. '.' .. sub(fraction, 2)
end

-- Merges encoded names. Empty names and missing tags keep their old values.
local function merge(old, new)
  if not old then return new end
  local names, fresh = cjson.decode(old), cjson.decode(new)
  for index = 1, 4 do
    if fresh[index] ~= '' then names[index] = fresh[index] end
  end
  if fresh[5] then names[5] = fresh[5] end
  return encode(names)
end

-- The index of runs with a status. Runs that ended on the engine's own queues have a separate index. The search for '_' avoids
-- decoding the names of most runs.
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

local results, resultCount, indexed, woken = {}, 0, {}, {}

-- Collects members of sorted sets, or messages of channels, by key, so that each key needs only one call.
local function gather(lists, key, first, second)
  local list = lists[key]
  if list then
    local size = #list
    list[size + 1], list[size + 2] = first, second
  else
    lists[key] = { first, second }
  end
end

-- All streams are read before the first write, so that an error leaves nothing half done.
local streams, streamCount = {}, 0
while header[position] do
  local key, fieldCount = header[position] .. ':r:' .. header[position + 1], header[position + 2]
  local fields = { 'h', 's', 'p', 'b' }
  for index = 1, fieldCount do fields[4 + index] = header[position + 2 + index] end
  streamCount = streamCount + 1
  streams[streamCount] = { position, key, fields, read(key, fields) }
  local appends = header[position + 3 + fieldCount]
  position = position + 4 + fieldCount
  for _ = 1, appends do position = position + 8 + header[position + 7] end
end

for index = 1, streamCount do
  local key, fields, values
  position, key, fields, values = unpack(streams[index])
  local tag, name, fieldCount = header[position], header[position + 1], header[position + 2]
  local log = tag .. ':log'
  local head, status, names, began = tonumber(values[1] or 0), values[2], values[3], values[4]
  local wasHead, wasStatus, wasNames, wasBegun = head, status, names, began
  local writes, size = {}, 0
  local updated, ended = nil, nil
  local appends = header[position + 3 + fieldCount]
  position = position + 4 + fieldCount
  for _ = 1, appends do
    local unless, job, token = header[position], header[position + 1], header[position + 2]
    local expected, reopen = header[position + 3], header[position + 4]
    local run, newNames, events = header[position + 5], header[position + 6], header[position + 7]
    position = position + 8
    local reason
    if unless and values[unless] then reason = 'unless'
    elseif status and status ~= 'running' and not reopen then reason = 'ended'
    elseif job and tonumber(values[job] or 0) > token then reason = 'fence'
    elseif expected and expected ~= head then reason = 'expectedSeq' end
    resultCount = resultCount + 1
    if reason then
      results[resultCount] = '!' .. reason .. ',' .. head
      position, text = position + events, text + events
    else
      local storedAt, known, eventNumber = nil, '', 1
      while eventNumber <= events do
        local entry, entrySize, before = { log, '*', 's', name, 'n', digits(head + 1) }, 6, head
        while eventNumber <= events and head - before < ${MAX_PER_ENTRY} do
          local keyField = header[position]
          if keyField and values[keyField] then
            known = known .. ',' .. eventNumber
          else
            head = head + 1
            entry[entrySize + 1], entry[entrySize + 2], entrySize = 'e', ARGV[text], entrySize + 2
            if keyField then
              values[keyField] = head
              writes[size + 1], writes[size + 2], size = fields[keyField], digits(head), size + 2
            end
          end
          position, text, eventNumber = position + 1, text + 1, eventNumber + 1
        end
        if head > before then
          local id = call('XADD', unpack(entry))
          -- Milliseconds have 13 digits until the year 2286.
          storedAt = sub(id, 1, 13)
          for seq = before + 1, head do writes[size + 1], writes[size + 2], size = digits(seq), id, size + 2 end
        end
      end
      storedAt = storedAt or now
      if job and tonumber(values[job] or 0) < token then
        values[job] = token
        writes[size + 1], writes[size + 2], size = fields[job], digits(token), size + 2
      end
      if not run and reopen and status ~= 'running' then run = 'running' end
      if run then
        began = began or ordered(storedAt)
        local fresh = run ~= '' and run or status or 'running'
        if fresh ~= 'running' then ended = ordered(storedAt) elseif status and status ~= 'running' then ended = '' end
        status = fresh
        if newNames and newNames ~= names then names = merge(names, newNames) end
      end
      updated = storedAt
      results[resultCount] = digits(head) .. ',' .. storedAt .. known
    end
  end
  if updated then
    writes[size + 1], writes[size + 2], size = 'h', digits(head), size + 2
    if status == 'running' then writes[size + 1], writes[size + 2], size = 'u', updated, size + 2 end
    if status ~= wasStatus then writes[size + 1], writes[size + 2], size = 's', status, size + 2 end
    if names ~= wasNames then writes[size + 1], writes[size + 2], size = 'p', names, size + 2 end
    if began ~= wasBegun then writes[size + 1], writes[size + 2], size = 'b', began, size + 2 end
    if ended then writes[size + 1], writes[size + 2], size = 'e', ended, size + 2 end
    if size <= 1000 then
      call('HSET', key, unpack(writes))
    else
      for from = 1, size, 1000 do call('HSET', key, unpack(writes, from, math.min(from + 999, size))) end
    end
    if status ~= wasStatus or ended then
      local set = indexOf(tag, status, names)
      if wasStatus then
        local was = indexOf(tag, wasStatus, wasNames)
        if was ~= set then call('ZREM', was, name) end
        -- Earlier releases have one index for all runs.
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
      local current = cjson.decode(names)
      if current[4] ~= '' then gather(indexed, tag .. ':flow:' .. current[4], began, name) end
      local oldTags = wasNames and cjson.decode(wasNames)[5]
      if oldTags and oldTags ~= 0 then for _, one in ipairs(oldTags) do call('ZREM', tag .. ':tag:' .. one, name) end end
      if current[5] and current[5] ~= 0 then
        for _, one in ipairs(current[5]) do gather(indexed, tag .. ':tag:' .. one, began, name) end
      end
    end
    if head > wasHead then gather(woken, tag .. channelSuffix, head, name) end
  end
end

for key, members in pairs(indexed) do call('ZADD', key, unpack(members)) end
for channel, heads in pairs(woken) do call(publish, channel, 'e' .. encode(heads)) end

local result = table.concat(results, ';')
call('SET', callKey, callNumber .. ' ' .. result, 'PX', 600000)
return result
`
