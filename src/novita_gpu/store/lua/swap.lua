-- Stores an endpoint that has moved on from the revision its saver knows, and an event that tells of it.
local endpoint, counter, events, event_type, feed_stream, feed_number = unpack(KEYS)
local document, expected, saving, event, feed_cap = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

local stored = redis.call('HMGET', endpoint, 'revision', 'saving')
local revision = tonumber(stored[1] or '0')
if revision == expected + 1 and stored[2] == saving then
  return revision
end
if revision ~= expected or revision == 0 then
  return 0
end
redis.call('HSET', endpoint, 'document', document, 'revision', expected + 1, 'saving', saving)
if event ~= '' then
  local sequence = tell(counter, events, { event_type }, event)
  feed(feed_stream, feed_number, feed_cap, 'sequence', sequence)
end
return expected + 1
