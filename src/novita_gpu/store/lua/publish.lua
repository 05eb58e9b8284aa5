-- Replaces, or adds to, what is known of the cloud's machines. Words: the generation that the publisher builds on
-- ('' when it sends all it has seen), whether the listing is complete, its begin, its mark, the name of this generation,
-- how many rows to write, rows to remove, markers to add and markers to remove, then these lists. A name, as two servers
-- would count alike.
local rows, markers, mark = KEYS[1], KEYS[2], KEYS[3]
local known, complete, began_at, document = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4]
local name = ARGV[5]
local written, removed, marked, unmarked = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local at = 9

local stored = redis.call('HMGET', mark, 'generation', 'began_at')
if stored[2] and tonumber(stored[2]) > tonumber(began_at) then
  return 0
end
if known ~= '' and known ~= stored[1] then
  return 0
end
if known == '' and complete then
  redis.call('DEL', rows, markers)
end
for i = 1, written do
  redis.call('HSET', rows, ARGV[at + 2 * i - 1], ARGV[at + 2 * i])
end
at = at + 2 * written
for i = 1, removed do
  redis.call('HDEL', rows, ARGV[at + i])
end
at = at + removed
for i = 1, unmarked do
  redis.call('ZREM', markers, ARGV[at + i])
end
at = at + unmarked
for i = 1, marked do
  redis.call('ZADD', markers, 0, ARGV[at + i])
end
redis.call('HSET', mark, 'generation', name, 'began_at', began_at, 'mark', document)
if complete then
  redis.call('HSET', mark, 'complete_at', began_at)
end
return 1
