-- Stores a fact unless there is one, and answers what is stored.
redis.call('SETNX', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1])
