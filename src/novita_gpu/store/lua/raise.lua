-- Raises a counter to at least so much.
local least = tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or '0') < least then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
