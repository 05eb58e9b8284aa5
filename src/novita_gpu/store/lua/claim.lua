-- Marks an Idempotency-Key, or says what is known of it.
local mark = redis.call('HMGET', KEYS[1], 'fingerprint', 'token', 'answer')
if not mark[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return { 'ours' }
end
if mark[1] ~= ARGV[1] then
  return { 'reused' }
end
if mark[3] then
  return { 'answered', mark[3] }
end
if mark[2] == ARGV[2] then
  return { 'ours' }
end
return { 'busy' }
