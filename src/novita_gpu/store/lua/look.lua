-- The mark, the row of one machine, and the rows of all machines that bear one of the markers.
local answer = { redis.call('HMGET', KEYS[3], 'mark', 'complete_at'), {}, {} }
if ARGV[1] ~= '' then
  answer[2][1] = redis.call('HGET', KEYS[1], ARGV[1])
end
for i = 2, #ARGV do
  local from = ARGV[i] .. ' '
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], '[' .. from, '[' .. from .. '\255')) do
    answer[3][#answer[3] + 1] = redis.call('HGET', KEYS[1], string.sub(member, #from + 1))
  end
end
return answer
