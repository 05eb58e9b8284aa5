-- One open delivery of an event that is in the log already.
local outbox = { KEYS[3], KEYS[4], KEYS[5], KEYS[6] }
return deliver(outbox, KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]) and 1 or 0
