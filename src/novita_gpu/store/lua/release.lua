-- Takes our mark off, unless it has been answered.
local mark = redis.call('HMGET', KEYS[1], 'token', 'answer')
if mark[1] ~= ARGV[1] or mark[2] then
  return 0
end
return redis.call('DEL', KEYS[1])
