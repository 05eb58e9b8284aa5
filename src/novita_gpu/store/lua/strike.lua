-- Removes an endpoint.
redis.call('DEL', KEYS[2])
return redis.call('SREM', KEYS[1], ARGV[1])
