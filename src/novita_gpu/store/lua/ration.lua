-- One of a number of places within a span of time. Who has one has it until it ends, and asks for it again for nothing.
local places, member, at, since, limit, span_ms = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
redis.call('ZREMRANGEBYSCORE', places, '-inf', since)
if redis.call('ZSCORE', places, member) then
  return 1
end
if redis.call('ZCARD', places) >= limit then
  return 0
end
redis.call('ZADD', places, at, member)
redis.call('PEXPIRE', places, span_ms)
return 1
