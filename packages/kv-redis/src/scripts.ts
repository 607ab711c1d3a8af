import { scriptOf, type Script } from "@tidemark/redis-connection";

/** The format of the store: the value of `<prefix>:format`, and the first byte of every partition's mark. */
export const REDIS_KV_FORMAT: number = 1;

/** What a script answers first. */
export const STATUS = { done: 0, failedCheck: 1, corrupt: 2, otherFormat: 3 } as const;

/**
 * Every script begins with it: the hash and the sorted set belong together, or it says so before anything is read as
 * absent or written. It is also where a key of another type ends the script.
 */
const GUARD = `
local values, names = KEYS[1], KEYS[2]
local mark = redis.call('HGET', values, '')
local count = redis.call('ZCARD', names)
if mark and string.byte(mark) ~= ${REDIS_KV_FORMAT} then return {${STATUS.otherFormat}, string.byte(mark) or 0} end
if not mark and count > 0 then return {${STATUS.corrupt}} end
if redis.call('HLEN', values) ~= count + (mark and 1 or 0) then return {${STATUS.corrupt}} end
`;

/**
 * KEYS: values, names. ARGV: mark, counts of checks, puts and deletes, a digit a check (1 if a value is expected), then
 * key and value of each check and put, then the keys to delete.
 *
 * A write that finds no memory is refused at the first write or not at all, so nothing is done by halves; deletes come
 * first because they may go on without memory.
 */
const COMMIT = `${GUARD}
local checks, puts, deletes, expected = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
for index = 1, checks do
  local stored = redis.call('HGET', values, ARGV[4 + 2 * index])
  local wanted = string.byte(expected, index) == 49 and ARGV[5 + 2 * index]
  if stored ~= wanted then return {${STATUS.failedCheck}, index - 1} end
end
if puts + deletes == 0 then return {${STATUS.done}} end
local at = 6 + 2 * (checks + puts)
for index = at, at + deletes - 1 do
  if redis.call('HDEL', values, ARGV[index]) == 1 then redis.call('ZREM', names, ARGV[index]) end
end
at = 6 + 2 * checks
if puts > 0 or redis.call('HLEN', values) > 1 then
  redis.call('HSET', values, '', ARGV[1])
else
  redis.call('DEL', values)
end
for index = at, at + 2 * puts - 2, 2 do
  if redis.call('HSET', values, ARGV[index], ARGV[index + 1]) == 1 then redis.call('ZADD', names, 0, ARGV[index]) end
end
return {${STATUS.done}}
`;

/** KEYS: values, names. ARGV: keys. Answers with their values, in order. */
const GET = `${GUARD}
local found = {}
for index = 1, #ARGV do found[index] = redis.call('HGET', values, ARGV[index]) end
return {${STATUS.done}, found}
`;

/**
 * KEYS: values, names. ARGV: 0, or 1 for reverse; the bounds as the server takes them, in the order of the walk; how
 * many items and bytes at most. Answers with keys and values in turn, and 1 if there are more.
 */
const SCAN = `${GUARD}
local walk = ARGV[1] == '1' and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
local limit, bytesTarget = tonumber(ARGV[4]), tonumber(ARGV[5])
local found = redis.call(walk, names, ARGV[2], ARGV[3], 'LIMIT', 0, limit + 1)
local items, bytes = {}, 0
for index, key in ipairs(found) do
  if index > limit or bytes >= bytesTarget then return {${STATUS.done}, items, key} end
  local value = redis.call('HGET', values, key)
  if not value then return {${STATUS.corrupt}} end
  items[2 * index - 1], items[2 * index] = key, value
  bytes = bytes + #key + #value
end
return {${STATUS.done}, items}
`;

/** KEYS: any key. A key leads to one node of a cluster, so that all go by the same clock. */
const CLOCK = "return redis.call('TIME')";

/** The scripts, by what they do. */
export interface Scripts {
  readonly commit: Script;
  readonly get: Script;
  readonly scan: Script;
  readonly clock: Script;
}

export async function loadScripts(): Promise<Scripts> {
  const [commit, get, scan, clock] = await Promise.all([COMMIT, GET, SCAN, CLOCK].map(scriptOf));
  return { commit: commit!, get: get!, scan: scan!, clock: clock! };
}
