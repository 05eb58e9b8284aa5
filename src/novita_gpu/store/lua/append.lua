-- One event that belongs to no change of a record, with its deliveries.
local counter, events, appended, feed_stream, feed_number = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local outbox, event_type, timeline = { KEYS[6], KEYS[7], KEYS[8], KEYS[9] }, KEYS[10], KEYS[11]
local counts = KEYS[12]
local FIRST_DELIVERY = 12
local document, appended_for_ms, feed_cap = ARGV[1], ARGV[2], ARGV[3]
local has_timeline, delivery_count = ARGV[4] == '1', tonumber(ARGV[5])
local counted = ARGV[6]
local WORDS = 6

local known = redis.call('GET', appended)
if known then
  return known
end
local indexes = { event_type }
if has_timeline then
  indexes = { event_type, timeline }
end
local sequence = tell(counter, events, indexes, document)
redis.call('HINCRBY', counts, counted, 1)
redis.call('SET', appended, sequence, 'PX', appended_for_ms)
for i = 1, delivery_count do
  local key, word = FIRST_DELIVERY + 2 * i - 1, WORDS + (i - 1) * 4
  deliver(outbox, KEYS[key], KEYS[key + 1], ARGV[word + 1], ARGV[word + 2], sequence, ARGV[word + 3], ARGV[word + 4])
end
feed(feed_stream, feed_number, feed_cap, 'sequence', sequence)
return sequence
