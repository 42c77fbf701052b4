import { INDEX } from './index-lua.ts'
import { COMMON } from './lua.ts'

/**
 * Stores jobs of a queue that were copied from another store, in their states. A job whose id is known is not stored.
 *
 * ARGV: `base`, then one JSON object for each job:
 *
 * - `i` the stored id, `n` the name, `c` the creation, `p` the priority, `o` the further indexes, separated by NUL
 * - `s` the state, `at` the moment at which a delayed job is due or at which an ended job has ended
 * - `k`: true if the caller chose the id; `q` the field `nq:fair`, or `''`
 * - `f`: the fields of the hash as a flat list
 */
export const COPY_JOBS = `${COMMON}${INDEX}
local base = ARGV[1]
local waiting, delayed = false, false
for index = 2, #ARGV do
  local job = cjson.decode(ARGV[index])
  local key = base .. ':' .. job.i
  if call('EXISTS', key) == 0 and not (job.k and call('EXISTS', knownKey(base, job.i)) == 1) then
    call('HSET', key, unpack(job.f))
    if job.k then call('HSET', base .. ':meta', 'nq:known', '1') end
    indexName(base, job.n, { job.c, job.i })
    local others = {}
    for one in string.gmatch(job.o, '[^%z]+') do others[#others + 1] = one end
    indexOthers(base, job.i, job.c, others)
    if job.s == 'waiting' then
      pushWaiting(base, job.i, tonumber(job.p), job.q ~= '' and job.q or nil)
      waiting = true
    elseif job.s == 'delayed' then
      call('HSET', key, 'delay', formatInteger(math.max(0, job.at - now)))
      pushDelayed(base, job.i, job.at)
      delayed = true
    else
      call('ZADD', setOf(base, job.s), job.at, job.i)
    end
  end
end
if waiting then wake(base) end
if delayed then wakeWhenDue(base) end
return 1
`

/**
 * Remembers ids of removed jobs of a queue. ARGV: `base`, then for each id the stored id, the text to remember, and the moment until which
 * it is remembered.
 */
export const REMEMBER = `${COMMON}
local base, last = ARGV[1], tonumber(call('HGET', ARGV[1] .. ':meta', 'nq:known-until') or 0)
for index = 2, #ARGV, 3 do
  local id, left = ARGV[index], ARGV[index + 2] - now
  if left > 0 and call('EXISTS', base .. ':' .. id) == 0 then
    call('SET', knownKey(base, id), ARGV[index + 1], 'PX', formatInteger(left))
    last = math.max(last, tonumber(ARGV[index + 2]))
  end
end
if last > 0 then call('HSET', base .. ':meta', 'nq:known', '1', 'nq:known-until', formatInteger(last)) end
return 1
`
