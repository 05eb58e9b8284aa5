-- Stores a delivery that has moved on from the revision its saver knows, so that no try is lost and it ends once.
local delivery, due = KEYS[1], KEYS[2]
local id, document, expected, state = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local due_at, finished_for_ms, saving = ARGV[5], ARGV[6], ARGV[7]

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
  redis.call('ZADD', due, due_at, id)
  redis.call('PERSIST', delivery)
else
  redis.call('ZREM', due, id)
  redis.call('PEXPIRE', delivery, finished_for_ms)
end
return expected + 1
