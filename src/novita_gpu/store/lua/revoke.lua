-- Removes a key of the API, and tells of it. 0: there is none.
local api_keys, used, counter, events, event_type, feed_stream, feed_number = unpack(KEYS)
local id, event, feed_cap = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HDEL', api_keys, id) == 0 then
  return 0
end
redis.call('HDEL', used, id)
local sequence = event ~= '' and tell(counter, events, { event_type }, event) or '0'
feed(feed_stream, feed_number, feed_cap, 'sequence', sequence, 'api-keys', '1')
return 1
