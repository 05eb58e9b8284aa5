-- Stores a delivery that has moved on from the revision its saver knows, so that no try is lost and it ends once.
local delivery, queue, receivers, rests = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, document, expected, state = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local due_at, finished_for_ms, saving, host = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local rest_until, rests_for_ms = ARGV[9], ARGV[10]

local stored = redis.call('HMGET', delivery, 'revision', 'saving')
local revision = tonumber(stored[1] or '0')
if revision == expected + 1 and stored[2] == saving then
  return revision
end
if revision ~= expected or revision == 0 then
  return 0
end
redis.call('HSET', delivery, 'document', document, 'revision', expected + 1, 'saving', saving)
if state == 'pending' then
  redis.call('ZADD', queue, due_at, id)
  redis.call('PERSIST', delivery)
else
  redis.call('ZREM', queue, id)
  redis.call('PEXPIRE', delivery, finished_for_ms)
end
if rest_until ~= '' then
  redis.call('ZADD', rests, 'GT', rest_until, host)
  redis.call('PEXPIRE', rests, rests_for_ms)
end
place(queue, receivers, rests, host)
return expected + 1
