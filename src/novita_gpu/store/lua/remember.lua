-- Remembers an offer as empty; the later end counts, and all ends when nothing was added for long.
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
