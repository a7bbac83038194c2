-- What all scripts share: the ledger of an area, by which a loss in Redis is noticed and mended.
--
-- `ledger` is a hash: topic (identity of the topic that was copied), until (while the stored offset is below it, what
-- was lost is being read again), entries and last (number of entries of the stream, and number of the last one),
-- alerts, open, placed (number of alerts in the ledger, and of those in the sorted sets `open` and `where`).
-- `noted` is a hash with a field for each alert: `offset revision from revisions urgency place summary expires`. offset
-- and from are those of its last and first record, "-" for an alert of a former topic; revisions is how many were
-- written into the stream of its revisions; urgency and place are its scores in `open` and `where`, "-" without one;
-- summary stands for its hash; expires is when its keys do, in seconds since 1970 by the clock of Redis.

local FIELDS = {'id', 'revision', 'state', 'tier', 'event', 'provenance'}

-- A number that somebody else overwrote counts as missing.
local function whole(text)
    return text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text) or 0
end

-- A key of another type holds nothing of ours.
local function clear_others(kinds)
    for key, kind in pairs(kinds) do
        local found = redis.call('TYPE', key).ok
        if found ~= kind and found ~= 'none' then
            redis.call('DEL', key)
        end
    end
end

local LINE = '^' .. string.rep('(%S+) ', 7) .. '(%S+)$'

local function read(line)
    if not line then
        return nil
    end
    local offset, revision, from, revisions, urgency, place, _, expires = string.match(line, LINE)
    if not offset then -- somebody else's
        return {offset = math.huge, revision = 0, from = 0, revisions = 0, expires = math.huge}
    end
    return {
        offset = tonumber(offset) or -1,
        revision = whole(revision),
        from = tonumber(from) or -1,
        revisions = whole(revisions),
        urgency = tonumber(urgency),
        place = tonumber(place),
        expires = tonumber(expires) or math.huge,
        is_former = offset == '-',
    }
end

local function add(ledger, name, number)
    if number ~= 0 then
        redis.call('HSET', ledger, name, string.format('%d', whole(redis.call('HGET', ledger, name)) + number))
    end
end

-- Replaces the line of an alert, or removes it if `line` is nil.
local function note(ledger, noted, id, line)
    local before, after = read(redis.call('HGET', noted, id)), read(line)
    local function grown(has)
        return (after and has(after) and 1 or 0) - (before and has(before) and 1 or 0)
    end
    add(ledger, 'alerts', grown(function() return true end))
    add(ledger, 'open', grown(function(alert) return alert.urgency end))
    add(ledger, 'placed', grown(function(alert) return alert.place end))
    if line then
        redis.call('HSET', noted, id, line)
    else
        redis.call('HDEL', noted, id)
    end
end

-- The short fields of an alert's hash, and the number of bytes of its event: to read the event takes too long.
local function summary(revision, state, tier, bytes)
    return (revision or '') .. '/' .. (state or '') .. '/' .. (tier or '') .. '/' .. bytes
end

-- The clock of Redis, in seconds since 1970.
local function now()
    return tonumber(redis.call('TIME')[1])
end

