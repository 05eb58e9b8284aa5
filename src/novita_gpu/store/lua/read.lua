-- Events that an index lists, in order. A listed event that was trimmed is answered without a document.
local listed = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
local rows = {}
for i, entry in ipairs(listed) do
  local found = redis.call('XRANGE', KEYS[2], entry[1], entry[1])[1]
  rows[i] = { entry[1], found and found[2][2] }
end
return rows
