-- One more request of a caller: how many there were in its window, and the milliseconds until that ends.
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return { tostring(count), tostring(redis.call('PTTL', KEYS[1])) }
