import { INDEX } from './index-lua.ts'
import { COMMON } from './lua.ts'

/** Stores the fair key of a job. */
const FAIR_FIELD = `
    local fair = ARGV[index + 10]
    if fair == '' then fair = nil else call('HSET', key, 'nq:fair', fair) end`

/**
 * Adds jobs to one or several queues, in one step.
 *
 * ARGV: for each job ten arguments: `base`, the stored id, the name, the data, the options (`opts`), the creation, the due time, the
 * priority, the text to remember after its removal (`''` if no caller chose its id), and its further indexes, separated by NUL (`''` if
 * there are none). With `withFairKeys`, an eleventh argument is the field `nq:fair` (`''` for a job without a fair key).
 *
 * Returns for each job `waiting` or `delayed`, or the options of the existing or remembered job with its id.
 *
 * The meta of a queue has the field `nq:known` if it has jobs with chosen ids, and `nq:known-until`, the moment until which removed ids
 * are remembered. Other queues therefore pay nothing for remembered ids.
 */
const addScript = (withFairKeys: boolean): string => `${COMMON}${INDEX}
local out, queues, remembersIds = {}, {}, {}

-- Returns the remembered text of a removed job, if its id is still remembered.
local function rememberedOf(base, id)
  if remembersIds[base] == nil then
    local meta = call('HMGET', base .. ':meta', 'nq:known', 'nq:known-until')
    if not meta[1] then call('HSET', base .. ':meta', 'nq:known', '1') end
    remembersIds[base] = tonumber(meta[2] or 0) > now
  end
  return remembersIds[base] and call('GET', knownKey(base, id))
end

for index = 1, #ARGV, ${withFairKeys ? 11 : 10} do
  local base, id, name, data, opts = ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3], ARGV[index + 4]
  local created, dueAt, priority = ARGV[index + 5], tonumber(ARGV[index + 6]), ARGV[index + 7]
  local remembered, others = ARGV[index + 8], ARGV[index + 9]
  local key = base .. ':' .. id
  local existing = call('EXISTS', key) == 1 and (call('HGET', key, 'opts') or '{}')
    or (remembered ~= '' and rememberedOf(base, id))
  if existing then
    out[#out + 1] = existing
    event(base, 'event', 'duplicated', 'jobId', id)
  else
    local later = dueAt > now and dueAt > tonumber(created)
    local delay = later and formatInteger(dueAt - now) or '0'
    call('HSET', key, 'name', name, 'data', data, 'opts', opts, 'timestamp', created, 'delay', delay,
      'priority', priority)
    if remembered ~= '' then call('HSET', key, 'nq:known', remembered) end${withFairKeys ? FAIR_FIELD : ''}
    if dueAt ~= tonumber(created) then call('HSET', key, 'nq:at', formatInteger(dueAt)) end
    event(base, 'event', 'added', 'jobId', id, 'name', name)
    queues[base] = queues[base] or { names = {} }
    local members = queues[base].names[name] or {}
    local size = #members
    members[size + 1], members[size + 2] = created, id
    queues[base].names[name] = members
    if others ~= '' then
      local of = {}
      for one in string.gmatch(others, '[^%z]+') do of[#of + 1] = one end
      indexOthers(base, id, created, of)
    end
    if later then
      pushDelayed(base, id, dueAt)
      event(base, 'event', 'delayed', 'jobId', id, 'delay', formatInteger(dueAt))
      queues[base].delayed = true
      out[#out + 1] = 'delayed'
    else
      pushWaiting(base, id, tonumber(priority)${withFairKeys ? ', fair' : ''})
      event(base, 'event', 'waiting', 'jobId', id)
      queues[base].waiting = true
      out[#out + 1] = 'waiting'
    end
  end
end
for base, added in pairs(queues) do
  for name, members in pairs(added.names) do
    for from = 1, #members, 2000 do indexName(base, name, { unpack(members, from, math.min(from + 1999, #members)) }) end
  end
  if added.waiting then wake(base) end
  if added.delayed then wakeWhenDue(base) end
  trimEvents(base)
end
return out
`
export const ADD = addScript(false)
export const ADD_FAIR = addScript(true)
