-- The first deliveries that are due in each queue, at most so many of each.
local ids = {}
for i, queue in ipairs(KEYS) do
  for _, id in ipairs(redis.call('ZRANGE', queue, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[i + 1])) do
    table.insert(ids, id)
  end
end
return ids
