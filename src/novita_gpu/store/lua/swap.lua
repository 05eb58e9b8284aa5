-- Stores an endpoint that has moved on from the revision its saver knows, and an event that tells of it.
local endpoint, counter, events, event_type, feed_stream, feed_number = unpack(KEYS)
local document, expected, saving, event, feed_cap = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

local done = save_next(endpoint, document, expected, saving)
if done ~= 'stored' then
  return done == 'repeated' and expected + 1 or 0
end
if event ~= '' then
  local sequence = tell(counter, events, { event_type }, event)
  feed(feed_stream, feed_number, feed_cap, 'sequence', sequence)
end
return expected + 1
