-- One open delivery of an event that is in the log already.
return deliver(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) and 1 or 0
