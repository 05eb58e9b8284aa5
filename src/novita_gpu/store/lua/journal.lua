-- Shared by every script that tells of something. Numbers are written without exponent: Lua's own form has one.
local function whole(number)
  return string.format('%.0f', number)
end

-- Tells the views, in a stream without gaps in its numbers.
local function feed(stream, counter, cap, ...)
  local number = redis.call('INCR', counter)
  redis.call('XADD', stream, 'MAXLEN', '~', cap, whole(number) .. '-0', ...)
end

-- Gives an event the next sequence; `indexes` are streams that list it.
local function tell(counter, stream, indexes, document)
  local sequence = whole(redis.call('INCR', counter))
  redis.call('XADD', stream, sequence .. '-0', 'document', document)
  for _, index in ipairs(indexes) do
    redis.call('XADD', index, sequence .. '-0', '', '')
  end
  return sequence
end

-- A receiver's place among all: when its first delivery is due, but not before its rest is over.
local function place(queue, receivers, rests, host)
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if not first[2] then
    redis.call('ZREM', receivers, host)
    return
  end
  local rest = redis.call('ZSCORE', rests, host)
  local at = rest and tonumber(rest) > tonumber(first[2]) and rest or first[2]
  redis.call('ZADD', receivers, at, host)
end

-- Stores an open delivery, unless it is known: its id derives from event and receiver. `outbox`: receivers, rests, all
-- deliveries, and the counter of their numbers.
local function deliver(outbox, key, queue, id, document, sequence, due_at, host)
  if redis.call('EXISTS', key) == 1 then
    return false
  end
  local receivers, rests, all, counter = unpack(outbox)
  local number = whole(redis.call('INCR', counter))
  redis.call('HSET', key, 'document', document, 'sequence', sequence, 'number', number, 'revision', 1)
  redis.call('ZADD', queue, due_at, id)
  redis.call('ZADD', all, number, id)
  place(queue, receivers, rests, host)
  return true
end

-- Stores a document that has moved on from the revision its saver knows: 'stored'; 'repeated' when this very saving was
-- done already; 'stale' when another came first or there is none.
local function save_next(key, document, expected, saving)
  local stored = redis.call('HMGET', key, 'revision', 'saving')
  local revision = tonumber(stored[1] or '0')
  if revision == expected + 1 and stored[2] == saving then
    return 'repeated'
  end
  if revision ~= expected or revision == 0 then
    return 'stale'
  end
  redis.call('HSET', key, 'document', document, 'revision', expected + 1, 'saving', saving)
  return 'stored'
end
