-- A new endpoint: what happens from now on is for it.
local endpoints, endpoint, sequence = KEYS[1], KEYS[2], KEYS[3]
local id, document, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('EXISTS', endpoint) == 1 then
  return 1
end
if redis.call('SCARD', endpoints) >= most then
  return 0
end
redis.call('SADD', endpoints, id)
redis.call('HSET', endpoint, 'document', document, 'revision', 1, 'told', redis.call('GET', sequence) or '0')
return 1
