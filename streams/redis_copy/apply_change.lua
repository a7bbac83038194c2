-- Brings one area in Redis up to an offset of the topic `alerts` in one step: at most one change, and the offset.
-- Does nothing if Redis holds less than the caller expects, or another topic: a later change would hide the loss.
--
-- KEYS  offset, stream (also the name of the channel), ledger, noted; with a change: alert, revisions, open, where
-- ARGV  expected (lower bound for the stored offset), reached (offset to store: after this call every record of the
--       area below it is in Redis), first (offset of the topic's oldest record), expiry_s (of every key written),
--       topic (its identity, or empty); with a change: is_open (1 or 0), urgency, longitude, latitude, speaks (1 or 0),
--       and the entry's values in the order of FIELDS
-- Returns the stored offset: below `expected` if the call was refused, above `reached` if another feeder is ahead; -1
-- if the ledger is missing or names another topic.

local offset_key, stream, ledger, noted, alert, revisions, open, where = unpack(KEYS)
local expected, reached, first = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local expiry_s, topic = ARGV[4], ARGV[5]

clear_others({[offset_key] = 'string', [stream] = 'stream', [ledger] = 'hash', [noted] = 'hash'})
local stored = whole(redis.call('GET', offset_key))
if stored < expected then
    return stored
end
local copied = redis.call('HGET', ledger, 'topic')
if stored > 0 and not copied or copied and copied ~= '' and topic ~= '' and copied ~= topic then
    return -1
end
local is_read_again = stored < whole(redis.call('HGET', ledger, 'until'))

-- Redis refuses an id that is not above the last one: the entry is there.
local function append(key, number, entry)
    local added = redis.pcall('XADD', key, number .. '-0', unpack(entry))
    if type(added) == 'table' and added.err then
        assert(string.find(added.err, 'equal or smaller', 1, true), added.err)
        return false
    end
    return true
end

-- Writes the latest revision, and returns the alert's scores in the sorted sets.
local function show(id, entry, is_open, urgency, longitude, latitude)
    redis.call('DEL', alert)
    redis.call('HSET', alert, unpack(entry))
    redis.call('ZREM', open, id)
    redis.call('ZREM', where, id)
    if is_open == '1' then
        redis.call('ZADD', open, urgency, id)
        redis.pcall('GEOADD', where, longitude, latitude, id) -- Redis refuses latitudes beyond 85 degrees
    end
    return redis.call('ZSCORE', open, id) or '-', redis.call('ZSCORE', where, id) or '-'
end

local function apply(is_open, urgency, longitude, latitude, speaks, values)
    local id, revision, offset = values[1], tonumber(values[2]), string.format('%d', reached - 1)
    local before = read(redis.call('HGET', noted, id))
    local is_later = before and revision > before.revision
    if before and not is_later and not before.is_former then
        return
    end
    clear_others({[alert] = 'hash', [revisions] = 'stream', [open] = 'zset', [where] = 'zset'})
    local entry = {}
    for index, name in ipairs(FIELDS) do
        entry[#entry + 1], entry[#entry + 2] = name, values[index]
    end
    local has_expired = is_later and before.expires <= now() and redis.call('EXISTS', revisions) == 0
    local length = is_later and not has_expired and before.revisions or 0
    if not is_later then
        redis.call('DEL', revisions) -- what it holds comes again, or was of a former topic
    end
    if append(stream, ARGV[2], entry) then
        add(ledger, 'entries', 1)
        redis.call('HSET', ledger, 'last', ARGV[2])
    end
    -- The ledger counts what was written, not what is there: otherwise a later revision hides that others were evicted.
    if append(revisions, values[2], entry) then
        length = length + 1
    end
    local score, place = '-', '-'
    -- While an alert is read again, it stays as it was last.
    if not is_read_again or whole(redis.call('HGET', alert, 'revision')) <= revision then
        score, place = show(id, entry, is_open, urgency, longitude, latitude)
    end
    local from = before and not before.is_former and string.format('%d', before.from) or offset
    local expires = string.format('%d', now() + expiry_s)
    local face = summary(values[2], values[3], values[4], #values[5])
    note(ledger, noted, id, table.concat({offset, values[2], from, length, score, place, face, expires}, ' '))
    for _, key in ipairs({stream, alert, revisions, open, where}) do
        redis.call('EXPIRE', key, expiry_s)
    end
    if speaks == '1' and not is_read_again then
        redis.call('PUBLISH', stream, values[5])
    end
end

-- The first write of a script decides whether a full Redis refuses it as a whole; it refuses this one.
redis.call('HSET', ledger, 'topic', topic ~= '' and topic or copied or '')
if alert and stored < reached then
    apply(ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], {unpack(ARGV, 11)})
end
if stored < reached then
    stored = reached
end
if is_read_again and stored >= whole(redis.call('HGET', ledger, 'until')) then
    redis.call('HDEL', ledger, 'until')
end
add(ledger, 'entries', -redis.call('XTRIM', stream, 'MINID', string.format('%d', first + 1)))
redis.call('SET', offset_key, string.format('%d', stored), 'EX', expiry_s)
redis.call('EXPIRE', ledger, expiry_s)
redis.call('EXPIRE', noted, expiry_s)
return stored
