-- One commit: a record with its events, deliveries and kept answer, all or none. See records.py for keys and words.
local record, activity, timeline, closed_name, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sequence_key, events, living, closed = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local feed_stream, feed_number, outbox = KEYS[10], KEYS[11], { KEYS[12], KEYS[21], KEYS[13], KEYS[14] }
local name, name_before, machine, machine_before = KEYS[15], KEYS[16], KEYS[17], KEYS[18]
local reserved_key, counts, owned = KEYS[19], KEYS[20], KEYS[22]
local TYPES = 22

local commit, expected, id, document = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local takes_heartbeats, closed_at, closed_for_ms, weighed = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local token, answer, answered_for_ms, feed_cap = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local has_machine, had_machine = ARGV[13] == '1', ARGV[14] == '1'
local event_count, delivery_count = tonumber(ARGV[15]), tonumber(ARGV[16])
local reserves, most_instances, most_reserved = tonumber(ARGV[17]), ARGV[18], ARGV[19]
local counted, known_revision, known_sequence = ARGV[20], tonumber(ARGV[21]), ARGV[22]
local has_owner, most_owned, most_owned_reserved = ARGV[23] == '1', ARGV[24], ARGV[25]
local WORDS = 25
local is_closed = closed_at ~= ''

local stored = redis.call('HMGET', record, 'revision', 'sequence', 'commits', 'closed', 'reserved')
local revision, sequence, commits, was_closed = tonumber(stored[1] or '0'), stored[2] or known_sequence, stored[3] or '', stored[4]
for known, its_revision, its_sequence in string.gmatch(commits, '(%S+)=(%d+)=(%d+)') do
  if known == commit then
    return { 'done', its_revision, its_sequence }
  end
end
if revision ~= expected then
  return { 'stale', whole(revision) }
end
if token ~= '' then
  local mark = redis.call('HMGET', claim, 'token', 'answer')
  if mark[1] ~= token or mark[2] then
    return { 'claim' }
  end
end
local owner = redis.call('GET', name)
if not is_closed and owner and owner ~= id then
  return { 'name', owner }
end
if expected == 0 and has_machine then
  local holder = redis.call('GET', machine)
  if holder and redis.call('SISMEMBER', living, holder) == 1 then
    return { 'machine', holder }
  end
end
if weighed ~= '' then
  local last = redis.call('GET', activity)
  if last and tonumber(last) > tonumber(weighed) then
    return { 'used' }
  end
end
local reserved = tonumber(redis.call('GET', reserved_key) or '0') + reserves - tonumber(stored[5] or '0')
if most_instances ~= '' or most_reserved ~= '' then
  local instances = redis.call('SCARD', living) + 1 - redis.call('SISMEMBER', living, id)
  local too_many = expected == 0 and most_instances ~= '' and instances > tonumber(most_instances)
  if too_many or (most_reserved ~= '' and reserved > tonumber(most_reserved)) then
    return { 'limit', whole(instances), whole(reserved) }
  end
end
if most_owned ~= '' or most_owned_reserved ~= '' then
  local count, sum = 1, reserves
  local others = redis.call('HGETALL', owned)
  for i = 1, #others, 2 do
    if others[i] ~= id then
      count, sum = count + 1, sum + tonumber(others[i + 1])
    end
  end
  local too_many = expected == 0 and most_owned ~= '' and count > tonumber(most_owned)
  if too_many or (most_owned_reserved ~= '' and sum > tonumber(most_owned_reserved)) then
    return { 'owner-limit', whole(count), whole(sum) }
  end
end

local sequences = {}
for i = 1, event_count do
  sequence = tell(sequence_key, events, { timeline, KEYS[TYPES + i] }, ARGV[WORDS + i])
  sequences[i] = sequence
end
for i = 1, delivery_count do
  local word = WORDS + event_count + (i - 1) * 6
  local of_event = tonumber(ARGV[word + 3])
  local its_sequence = of_event > 0 and sequences[of_event] or ARGV[word + 4]
  local key = TYPES + event_count + 2 * i - 1
  local id, its_document, due_at, host = ARGV[word + 1], ARGV[word + 2], ARGV[word + 5], ARGV[word + 6]
  deliver(outbox, KEYS[key], KEYS[key + 1], id, its_document, its_sequence, due_at, host)
end

for what, by in string.gmatch(counted, '(%S+)=(%d+)') do
  redis.call('HINCRBY', counts, what, by)
end

-- A record that comes from another store never goes back behind what it was there.
local new_revision = whole(math.max(revision, known_revision) + 1)
commits = commits .. commit .. '=' .. new_revision .. '=' .. sequence .. ' '
local _, kept = string.gsub(commits, ' ', ' ')
if kept > 8 then
  commits = string.gsub(commits, '^%S+ ', '', 1)
end
redis.call('HSET', record, 'document', document, 'revision', new_revision, 'sequence', sequence,
  'heartbeats', takes_heartbeats, 'commits', commits, 'reserved', whole(reserves))
redis.call('SET', reserved_key, whole(reserved))
if has_owner and is_closed then
  redis.call('HDEL', owned, id)
elseif has_owner then
  redis.call('HSET', owned, id, whole(reserves))
end

if name_before ~= name and redis.call('GET', name_before) == id then
  redis.call('DEL', name_before)
end
if had_machine and machine_before ~= machine and redis.call('GET', machine_before) == id then
  redis.call('DEL', machine_before)
end
if has_machine and redis.call('GET', machine) ~= id then
  redis.call('SET', machine, id)
end
if is_closed and not was_closed then
  redis.call('HSET', record, 'closed', '1')
  if redis.call('GET', name) == id then
    redis.call('DEL', name)
  end
  redis.call('SET', closed_name, id, 'PX', closed_for_ms)
  redis.call('SREM', living, id)
  redis.call('ZREMRANGEBYSCORE', closed, '-inf', tonumber(closed_at) - tonumber(closed_for_ms) * 1000)
  redis.call('ZADD', closed, closed_at, id)
elseif not is_closed then
  redis.call('SADD', living, id)
  if not owner then
    redis.call('SET', name, id)
  end
end
if is_closed then
  for _, key in ipairs({ record, activity, timeline, has_machine and machine or nil }) do
    if redis.call('PTTL', key) == -1 then
      redis.call('PEXPIRE', key, closed_for_ms)
    end
  end
elseif was_closed then
  redis.call('HDEL', record, 'closed')
  redis.call('ZREM', closed, id)
  redis.call('DEL', closed_name)
  for _, key in ipairs({ record, activity, timeline, has_machine and machine or nil }) do
    redis.call('PERSIST', key)
  end
end
if token ~= '' and answer ~= '' then
  redis.call('HSET', claim, 'answer', answer)
  redis.call('PEXPIRE', claim, answered_for_ms)
end
feed(feed_stream, feed_number, feed_cap, 'id', id, 'revision', new_revision, 'sequence', sequence)
return { 'done', new_revision, sequence }
