-- Stores the answer under our mark, also when the mark has just expired and nobody else has it.
local token = redis.call('HGET', KEYS[1], 'token')
if token and token ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2], 'answer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
