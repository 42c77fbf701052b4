/**
 * Appends to streams, each with its own conditions, all or nothing for each; together in one call.
 *
 * The events of a shard lie in one Redis Stream, its log; a stream of ours is a hash that knows where:
 *
 *   h, x        seq of the newest event, seq up to which events were trimmed
 *   1, 2, …     ids of its entries in the log
 *   k:<key>     seq of the event with that key
 *   t:<job>     the newest fence token of that job
 *   s n q j w   status, name, queue, job id and flow of the run, if it is one
 *   b u e       when the run began, was updated and ended; b and e with a fraction that keeps their order
 *
 * A call is numbered. One that comes again, because the connection broke before its answer, is
 * answered as the first time and does nothing.
 */
export const APPEND = `
local callKey, callNumber, publish = ARGV[1], ARGV[2], ARGV[3]
local appends = cjson.decode(ARGV[4])
local nextEvent = 5

local done = redis.call('GET', callKey)
if done then
  local number, answer = string.match(done, '^(%S+) (.*)$')
  if number == callNumber then return answer end
end

local time, turn
local function clock()
  if not time then
    time = redis.call('TIME')
    turn = time[2] % 1000
  end
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end

-- Runs that begin or end within one millisecond keep their order.
local function ordered(at)
  clock()
  turn = math.min(turn + 1, 999)
  return at .. string.format('.%03d', turn)
end

local streams, order = {}, {}

local function open(tag, name)
  local key = tag .. ':r:' .. name
  local stream = streams[key]
  if not stream then
    stream = { key = key, tag = tag, name = name, f = {}, dirty = {}, stored = false }
    streams[key] = stream
    order[#order + 1] = stream
  end
  return stream
end

local function load(stream, fields)
  local missing = {}
  for _, field in ipairs(fields) do
    if stream.f[field] == nil then missing[#missing + 1] = field end
  end
  for from = 1, #missing, 1000 do
    local to = math.min(from + 999, #missing)
    local values = redis.call('HMGET', stream.key, unpack(missing, from, to))
    for index = from, to do stream.f[missing[index]] = values[index - from + 1] end
  end
end

local function set(stream, field, value)
  stream.f[field] = value
  stream.dirty[field] = value
end

local function refusal(stream, append, head)
  local unless, job, token, expected, reopen = append[3], append[4], append[5], append[6], append[7]
  if unless and stream.f['k:' .. unless] then return 'unless' end
  local status = stream.f.s
  if status and status ~= 'running' and not reopen then return 'ended' end
  if job and tonumber(stream.f['t:' .. job] or 0) > token then return 'fence' end
  if expected and expected ~= head then return 'expectedSeq' end
end

local function patch(stream, run, reopen, at)
  local f = stream.f
  if not run then
    if not f.s and not reopen then return end
    set(stream, 'u', at)
    if not reopen or f.s == 'running' then return end
    run = { s = 'running' }
  end
  if not f.s then set(stream, 'b', ordered(at)) end
  set(stream, 'u', at)
  for field, value in pairs(run) do
    if field ~= 's' and f[field] ~= value then set(stream, field, value) end
  end
  local status = run.s or f.s or 'running'
  if f.s ~= status then set(stream, 's', status) end
  if status ~= 'running' then
    set(stream, 'e', ordered(at))
  elseif f.e then
    set(stream, 'e', '')
  end
end

local answers = {}
for index, append in ipairs(appends) do
  local stream = open(append[1], append[2])
  local unless, job, token, run, keys = append[3], append[4], append[5], append[8], append[9]
  local fields = { 'h', 's', 'b', 'e', 'w' }
  if unless then fields[#fields + 1] = 'k:' .. unless end
  if job then fields[#fields + 1] = 't:' .. job end
  for _, key in ipairs(keys) do
    if key then fields[#fields + 1] = 'k:' .. key end
  end
  load(stream, fields)
  if stream.began == nil then
    stream.began, stream.flow = stream.f.s, stream.f.w
  end
  local head = tonumber(stream.f.h or 0)
  local reason = refusal(stream, append, head)
  if reason then
    answers[index] = '!' .. reason .. ',' .. head
    nextEvent = nextEvent + #keys
  else
    local at, counter
    local known = ''
    for position, key in ipairs(keys) do
      if key and stream.f['k:' .. key] then
        known = known .. ',' .. position
      else
        head = head + 1
        local id = at and (at .. '-' .. counter) or '*'
        id = redis.call('XADD', append[1] .. ':log', id, 's', append[2], 'n', head, 'e', ARGV[nextEvent])
        if not at then at, counter = string.match(id, '^(%d+)-(%d+)$') end
        counter = string.format('%.0f', counter + 1)
        set(stream, tostring(head), id)
        if key then set(stream, 'k:' .. key, tostring(head)) end
        stream.stored = true
      end
      nextEvent = nextEvent + 1
    end
    at = at or clock()
    if job and tonumber(stream.f['t:' .. job] or 0) < token then set(stream, 't:' .. job, tostring(token)) end
    set(stream, 'h', tostring(head))
    patch(stream, run, append[7], at)
    answers[index] = head .. ',' .. at .. known
  end
end

for _, stream in ipairs(order) do
  local f, tag, name = stream.f, stream.tag, stream.name
  local pairsOf = {}
  for field, value in pairs(stream.dirty) do
    pairsOf[#pairsOf + 1] = field
    pairsOf[#pairsOf + 1] = value
  end
  for from = 1, #pairsOf, 1000 do
    redis.call('HSET', stream.key, unpack(pairsOf, from, math.min(from + 999, #pairsOf)))
  end
  if stream.dirty.s or stream.dirty.e then
    if not stream.began then redis.call('ZADD', tag .. ':runs', f.b, name) end
    if stream.began and stream.began ~= f.s then redis.call('ZREM', tag .. ':' .. stream.began, name) end
    redis.call('ZADD', tag .. ':' .. f.s, f.s == 'running' and f.b or f.e, name)
  end
  if f.w and f.w ~= stream.flow then redis.call('ZADD', tag .. ':flow:' .. f.w, f.b, name) end
  if stream.stored then redis.call(publish, tag .. ':wake', 'e' .. f.h .. ':' .. name) end
end

local answer = table.concat(answers, ';')
redis.call('SET', callKey, callNumber .. ' ' .. answer, 'PX', 600000)
return answer
`
