-- A heartbeat: only grows, and only while its record takes heartbeats.
if redis.call('HGET', KEYS[1], 'heartbeats') ~= '1' then
  return false
end
local known = redis.call('GET', KEYS[2])
if known and tonumber(known) >= tonumber(ARGV[2]) then
  return known
end
redis.call('SET', KEYS[2], ARGV[2])
feed(KEYS[3], KEYS[4], ARGV[3], 'id', ARGV[1], 'activity', ARGV[2])
return ARGV[2]
