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

-- Stores an open delivery, unless it is known: its id derives from event and receiver.
local function deliver(key, due, all, counter, id, document, sequence, due_at)
  if redis.call('EXISTS', key) == 1 then
    return false
  end
  local number = whole(redis.call('INCR', counter))
  redis.call('HSET', key, 'document', document, 'sequence', sequence, 'number', number, 'revision', 1)
  redis.call('ZADD', due, due_at, id)
  redis.call('ZADD', all, number, id)
  return true
end
