-- Stores a key of the API unless its name is another's or there are too many, and an event that tells of it.
local api_keys, counter, events, event_type, feed_stream, feed_number = unpack(KEYS)
local id, document, name, most, event, feed_cap = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]

if redis.call('HEXISTS', api_keys, id) == 1 then
  return { 'done' }
end
for _, other in ipairs(redis.call('HVALS', api_keys)) do
  if cjson.decode(other).name == name then
    return { 'name' }
  end
end
if redis.call('HLEN', api_keys) >= most then
  return { 'full' }
end
redis.call('HSET', api_keys, id, document)
local sequence = event ~= '' and tell(counter, events, { event_type }, event) or '0'
feed(feed_stream, feed_number, feed_cap, 'sequence', sequence, 'api-keys', '1')
return { 'done' }
