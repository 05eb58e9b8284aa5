-- Remembers an offer as empty from now on. Met again once the memory was over it lasts twice as long, up to the longest;
-- each calm stretch since then takes one repeat back. Met again while it lasts it goes on from now, and is no repeat.
local ends_key, times_key = KEYS[1], KEYS[2]
local member, now, first, longest, calm = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local forgotten = redis.call('ZRANGEBYSCORE', ends_key, '-inf', now - tonumber(ARGV[6]) * 1000)
for _, old in ipairs(forgotten) do
  redis.call('ZREM', ends_key, old)
  redis.call('HDEL', times_key, old)
end

local ends = tonumber(redis.call('ZSCORE', ends_key, member) or '0')
local times = tonumber(redis.call('HGET', times_key, member) or '0')
if ends <= now then
  times = math.max(0, times - math.floor((now - ends) / calm)) + 1
end
local length = math.min(first * 2 ^ math.min(times - 1, 30), longest)
redis.call('ZADD', ends_key, string.format('%.0f', math.max(ends, now + length)), member)
redis.call('HSET', times_key, member, times)
redis.call('PEXPIRE', ends_key, ARGV[6])
return redis.call('PEXPIRE', times_key, ARGV[6])
