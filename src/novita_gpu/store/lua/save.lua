-- Stores a delivery that has moved on from the revision its saver knows, so that no try is lost and it ends once.
local delivery, due = KEYS[1], KEYS[2]
local id, document, expected, state = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local due_at, finished_for_ms = ARGV[5], ARGV[6]

local stored = redis.call('HMGET', delivery, 'document', 'revision')
local revision = tonumber(stored[2] or '0')
if revision == expected + 1 and stored[1] == document then
  return revision
end
if revision ~= expected or not stored[1] then
  return 0
end
redis.call('HSET', delivery, 'document', document, 'revision', expected + 1)
if state == 'pending' then
  redis.call('ZADD', due, due_at, id)
  redis.call('PERSIST', delivery)
else
  redis.call('ZREM', due, id)
  redis.call('PEXPIRE', delivery, finished_for_ms)
end
return expected + 1
