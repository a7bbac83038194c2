-- Brings one area in Redis up to an offset of the topic `alerts` in one step: at most one change, and the offset.
-- Does nothing if Redis holds less than the caller expects: a later change would hide the loss.
--
-- KEYS  offset, stream (also the name of the channel); with a change: alert, revisions, open, where
-- ARGV  expected (lower bound for the stored offset), reached (offset to store: after this call every record of the
--       area below it is in Redis), first (offset of the topic's oldest record), expiry_s (of every key written);
--       with a change: is_open (1 or 0), urgency, longitude, latitude, speaks (1 or 0), and the entry as fields and
--       values, in the order id, revision, state, tier, event, provenance
-- Returns the stored offset: below `expected` if the call was refused, above `reached` if another feeder is ahead.

local offset_key, stream, alert, revisions, open, where = unpack(KEYS)
local expected, reached, first, expiry_s = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

-- A number that somebody else overwrote counts as missing.
local function whole(text)
    return text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text) or 0
end

local stored = whole(redis.call('GET', offset_key))
if stored < expected then
    return stored
end

local function apply(is_open, urgency, longitude, latitude, speaks, entry)
    local id, revision, event = entry[2], entry[4], entry[10]
    if tonumber(revision) <= whole(redis.call('HGET', alert, 'revision')) then
        return
    end
    -- Redis refuses an id that is not above the last one: the entry exists and has outlived the alert's key.
    redis.pcall('XADD', stream, ARGV[2] .. '-0', unpack(entry))
    redis.pcall('XADD', revisions, revision .. '-0', unpack(entry))
    redis.call('HSET', alert, unpack(entry))
    if is_open == '1' then
        redis.call('ZADD', open, urgency, id)
        redis.pcall('GEOADD', where, longitude, latitude, id) -- Redis refuses latitudes beyond 85 degrees
    else
        redis.call('ZREM', open, id)
        redis.call('ZREM', where, id)
    end
    for _, key in ipairs({stream, alert, revisions, open, where}) do
        redis.call('EXPIRE', key, expiry_s)
    end
    if speaks == '1' then
        redis.call('PUBLISH', stream, event)
    end
end

if alert and stored < reached then
    apply(ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], {unpack(ARGV, 10)})
end
if stored < reached then
    stored = reached
end
redis.call('XTRIM', stream, 'MINID', string.format('%d', first + 1))
redis.call('SET', offset_key, string.format('%d', stored), 'EX', expiry_s)
return stored
