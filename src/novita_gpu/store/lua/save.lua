-- Stores a delivery that has moved on from the revision its saver knows, so that no try is lost and it ends once.
local delivery, queue, receivers, rests = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, document, expected, state = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local due_at, finished_for_ms, saving, host = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local rest_until, rests_for_ms = ARGV[9], ARGV[10]

local done = save_next(delivery, document, expected, saving)
if done ~= 'stored' then
  return done == 'repeated' and expected + 1 or 0
end
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
