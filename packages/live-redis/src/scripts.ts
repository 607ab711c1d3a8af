import { scriptOf, type Script } from "@tidemark/redis-connection";

/** Bytes of payloads that one answer brings; the rest is asked for again. */
export const PAGE_BYTES_TARGET: number = 4 * 1_024 * 1_024;

/**
 * Every script begins with it. KEYS: buffer, events. ARGV: 1 an incarnation for a new buffer, 2 to 5 the bounds (events that
 * can be replayed, their age, events kept, idle time), 6 to 8 what the caller knows of the buffer's clock: of which
 * incarnation, and between what it must be now, or the empty string.
 *
 * - A buffer is one of the server's run: a restart, and a replica that takes over, may have lost the end of it, and would
 *   give out positions again that others have seen.
 * - A buffer's clock goes on by the server's, which may be set; a caller that has asked before knows better, by a clock that
 *   nobody sets.
 * - Ids of events are `<birth>-<position>`: who waits in one life of the buffer is woken by the next.
 */
const OPEN = `
local buffer, events = KEYS[1], KEYS[2]
local eventsMax, ageMsMax, keep, idleMsMax = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local function text(number) return string.format('%.0f', number) end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local time = redis.call('TIME')
local wall = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local state = redis.call('HMGET', buffer, 'incarnation', 'run', 'birth', 'tail', 'first', 'held', 'clock', 'wall', 'at', 'revision', 'committed')
local incarnation, birth = state[1], tonumber(state[3]) or 0
local tail, first, held = tonumber(state[4]) or 0, tonumber(state[5]) or 1, tonumber(state[6]) or 1
local clock, at = tonumber(state[7]) or 0, tonumber(state[9]) or 0
if incarnation then
  local now = clock + math.max(0, wall - tonumber(state[8]))
  if ARGV[6] == incarnation then now = math.min(math.max(now, tonumber(ARGV[7])), tonumber(ARGV[8])) end
  clock = math.max(clock, now)
end
local alive = incarnation and state[2] == run and clock - at <= idleMsMax
if alive and redis.call('EXISTS', events) ~= (tail > 0 and 1 or 0) then alive = false end

local function make()
  redis.call('DEL', buffer, events)
  incarnation, birth = ARGV[1], math.max(wall, birth + 1)
  tail, first, held, clock, at = 0, 1, 1, 0, 0
  redis.call('HSET', buffer, 'incarnation', incarnation, 'run', run, 'birth', text(birth), 'wall', text(wall))
  redis.call('PEXPIRE', buffer, idleMsMax + 60000)
  state[10], state[11] = false, false
end

local function trim()
  local young = held
  while young <= tail do
    local oldest = redis.call('XRANGE', events, text(birth) .. '-' .. text(young), '+', 'COUNT', 1)[1]
    if not oldest or clock - tonumber(oldest[2][2]) <= ageMsMax then break end
    young = young + 1
  end
  local from, to = math.max(first, young, tail - eventsMax + 1), math.max(held, young, tail - keep + 1)
  if to > held then redis.call('XTRIM', events, 'MINID', text(birth) .. '-' .. text(to)) end
  if to > held or from > first then redis.call('HSET', buffer, 'first', text(from), 'held', text(to)) end
  first, held = from, to
end
`;

/**
 * ARGV from 9 on: revision, payload and session cursor (or the empty string) of each event. Answers with the incarnation,
 * the position of the first event, and the clock.
 */
const APPEND = `${OPEN}
if not alive then make() end
local position = tail + 1
for index = 9, #ARGV, 3 do
  tail = tail + 1
  redis.call('XADD', events, text(birth) .. '-' .. text(tail), 'c', text(clock), 'i', incarnation, 'v', ARGV[index],
    'p', ARGV[index + 1], 'm', ARGV[index + 2])
end
redis.call('HSET', buffer, 'tail', text(tail), 'clock', text(clock), 'wall', text(wall), 'at', text(clock),
  'revision', ARGV[#ARGV - 2], 'committed', ARGV[#ARGV])
trim()
redis.call('PEXPIRE', buffer, idleMsMax + 60000)
redis.call('PEXPIRE', events, idleMsMax + 60000)
return {incarnation, position, clock}
`;

/**
 * ARGV: 9 what for, 10 and 11 the incarnation and the position behind which events are asked for. Answers with incarnation
 * (empty without a buffer), birth, tail, first, clock, revision and session cursor of the last event, the events, and
 * whether there are more.
 *
 * To ask where a session is leaves a record of its incarnation, for the idle time: a cursor of nothing must not match
 * whatever comes to be under that name later.
 */
const READ = `${OPEN}
local what, asked, behind = ARGV[9], ARGV[10], tonumber(ARGV[11])
if not alive then
  if what == 'look' or what == 'trim' then return {''} end
  make()
end
if what == 'trim' or what == 'replay' then trim() end
local found, more, bytes, next = {}, 0, 0, behind + 1
if what == 'replay' and asked == incarnation and behind <= tail and next >= first then
  while next <= tail and more == 0 do
    local page = redis.call('XRANGE', events, text(birth) .. '-' .. text(next), '+', 'COUNT', 64)
    if #page == 0 then break end
    for _, entry in ipairs(page) do
      if bytes >= ${PAGE_BYTES_TARGET} then more = 1; break end
      found[#found + 1] = entry
      bytes = bytes + #entry[2][8]
      next = next + 1
    end
  end
end
return {incarnation, birth, tail, first, clock, state[10] or '', state[11] or '', found, more}
`;

/** The scripts, by what they do. */
export interface Scripts {
  readonly append: Script;
  readonly read: Script;
}

export async function loadScripts(): Promise<Scripts> {
  const [append, read] = await Promise.all([scriptOf(APPEND), scriptOf(READ)]);
  return { append, read };
}
