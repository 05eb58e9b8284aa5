-- The deliveries of a stretch of the log to one endpoint, by the first who comes with them.
local endpoint, outbox = KEYS[1], { KEYS[2], KEYS[3], KEYS[4], KEYS[5] }
local FIRST_DELIVERY = 5
local WORDS = 2

if redis.call('HGET', endpoint, 'told') ~= ARGV[1] then
  return 0
end
for i = 1, (#KEYS - FIRST_DELIVERY) / 2 do
  local key, word = FIRST_DELIVERY + 2 * i - 1, WORDS + (i - 1) * 5
  local id, document, sequence, due_at, host = unpack(ARGV, word + 1, word + 5)
  deliver(outbox, KEYS[key], KEYS[key + 1], id, document, sequence, due_at, host)
end
redis.call('HSET', endpoint, 'told', ARGV[2])
return 1
