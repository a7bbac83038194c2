-- Compares what Redis holds of an area with the ledger: the figures, and some of its alerts. What is lost is forgotten
-- there, and the stored offset goes back to its first record, so that it is read again; meanwhile everything else stays
-- as it is.
--
-- KEYS  offset, stream, ledger, noted, open, where
-- ARGV  first (offset of the topic's oldest record), limit (a higher stored offset is of another topic), expiry_s,
--       topic (its identity, or empty), prefix (of the keys of alerts), cursor and slice (where to go on comparing
--       alerts, and about how many)
-- Returns the outcome ("kept"; "mended"; "lost": all is read again; "replaced": another topic begins), the stored
-- offset, the number of alerts that were lost, the number of alerts, and the next cursor ("0" after the last alert).

local offset_key, stream, ledger, noted, open, where = unpack(KEYS)
local first, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local expiry_s, topic, prefix = unpack(ARGV, 3, 5)
local cursor, slice = ARGV[6], ARGV[7]

clear_others({
    [offset_key] = 'string', [stream] = 'stream', [ledger] = 'hash', [noted] = 'hash', [open] = 'zset', [where] = 'zset',
})
local stored = whole(redis.call('GET', offset_key))
local copied = redis.call('HGET', ledger, 'topic')

local function figure(name)
    return whole(redis.call('HGET', ledger, name))
end

local function each_noted(visit)
    local all = redis.call('HGETALL', noted)
    for index = 1, #all, 2 do
        visit(all[index], all[index + 1])
    end
end

local function count_again()
    local open_ones, placed = 0, 0
    each_noted(function(_, line)
        local alert = read(line)
        open_ones = open_ones + (alert.urgency and 1 or 0)
        placed = placed + (alert.place and 1 or 0)
    end)
    redis.call('HSET', ledger, 'alerts', redis.call('HLEN', noted), 'open', open_ones, 'placed', placed)
end

local function as_table(reply)
    local fields = {}
    for index = 1, #reply, 2 do
        fields[reply[index]] = reply[index + 1]
    end
    return fields
end

-- Groups of readers survive: each goes on with the oldest entry that it has not acknowledged.
local function empty_stream()
    local groups = {}
    if redis.call('EXISTS', stream) == 1 then
        for _, reply in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
            local group = as_table(reply)
            local name, oldest = group['name'], redis.call('XPENDING', stream, group['name'])[2]
            groups[name] = oldest and whole(string.match(oldest, '^%d+')) - 1 .. '-0' or group['last-delivered-id']
        end
    end
    redis.call('DEL', stream) -- Redis never takes an entry with a lower id than one that was deleted
    for name, position in pairs(groups) do
        redis.call('XGROUP', 'CREATE', stream, name, position, 'MKSTREAM')
    end
    redis.call('HSET', ledger, 'entries', 0, 'last', 0)
end

-- Forgets all that the topic can bring again. Of a former topic, what is open is kept.
local function begin_again(outcome)
    each_noted(function(id, line)
        local alert = read(line)
        if outcome == 'replaced' and alert.urgency then
            note(ledger, noted, id, (string.gsub(line, '^%S+ (%S+) %S+', '- %1 -')))
        elseif outcome == 'replaced' or alert.offset >= first then
            note(ledger, noted, id, nil)
        end
    end)
    count_again()
    empty_stream()
    redis.call('HSET', ledger, 'topic', topic)
    redis.call('HDEL', ledger, 'until')
    if outcome == 'lost' then
        redis.call('HSET', ledger, 'until', string.format('%d', stored))
    end
    redis.call('EXPIRE', ledger, expiry_s)
    redis.call('DEL', offset_key)
    return {outcome, 0, 0, redis.call('HLEN', noted), '0'}
end

if copied and copied ~= '' and topic ~= '' and copied ~= topic or stored > limit then
    return begin_again('replaced')
end
local alerts = redis.call('HLEN', noted)
if stored == 0 or stored < figure('until') then
    return {'kept', stored, 0, alerts, '0'}
end

local function holds_the_stream()
    if redis.call('EXISTS', stream) == 0 then
        return figure('entries') == 0
    end
    local found = as_table(redis.call('XINFO', 'STREAM', stream))
    return found['length'] == figure('entries') and found['last-generated-id'] == figure('last') .. '-0'
end

if not copied or alerts ~= figure('alerts') or not holds_the_stream() then
    return begin_again('lost')
end

-- This is done thousands of times, so it reads of the line only what it needs.
local function holds(id, line)
    local key = prefix .. id
    local length, urgency, place, noted_summary = string.match(line, '^%S+ %S+ %S+ (%d+) (%S+) (%S+) (%S+) ')
    local words = length and redis.pcall('HMGET', key, 'revision', 'state', 'tier')
    return words
        and redis.pcall('XLEN', key .. ':revisions') == tonumber(length)
        and not words.err
        and redis.call('HLEN', key) == #FIELDS
        and summary(words[1], words[2], words[3], redis.call('HSTRLEN', key, 'event')) == noted_summary
        -- Of an ended alert nothing is in the sorted sets, as long as these are as large as they should be.
        and (urgency == '-' or redis.call('ZSCORE', open, id) == urgency)
        and (place == '-' or redis.call('ZSCORE', where, id) == place)
end

local lost, from, time = 0, stored, now()

local function has_expired(id, alert)
    return alert and alert.expires <= time and redis.call('EXISTS', prefix .. id, prefix .. id .. ':revisions') == 0
end

-- Forgets an alert that is not in Redis as it should be; one that has expired is no loss.
local function forget(id, line)
    local alert = read(line)
    if not has_expired(id, alert) then
        lost = lost + 1
        from = alert and alert.offset >= first and math.min(from, alert.from) or from
    end
    redis.call('DEL', prefix .. id, prefix .. id .. ':revisions')
    redis.call('ZREM', open, id)
    redis.call('ZREM', where, id)
    if line then
        note(ledger, noted, id, nil)
    end
end

local function compare(id, line)
    if not holds(id, line) then
        forget(id, line)
    end
end

local scanned = redis.call('HSCAN', noted, cursor, 'COUNT', slice)
for index = 1, #scanned[2], 2 do
    compare(scanned[2][index], scanned[2][index + 1])
end

local function has_all(key, name)
    return redis.call('ZCARD', key) == figure(name)
end

-- If a sorted set is too small or too large, all that is open is compared, and what is in a set and should not be goes.
if not (has_all(open, 'open') and has_all(where, 'placed')) then
    each_noted(function(id, line)
        local alert = read(line)
        if alert.urgency or alert.place then
            compare(id, line)
        end
    end)
    for key, score in pairs({[open] = 'urgency', [where] = 'place'}) do
        for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
            local line = redis.call('HGET', noted, id)
            if not line or not read(line)[score] then
                forget(id, line)
            end
        end
    end
    count_again()
end
if from < stored then
    redis.call('HSET', ledger, 'until', string.format('%d', stored))
    redis.call('SET', offset_key, string.format('%d', from), 'EX', expiry_s)
end
for _, key in ipairs({stream, open, where}) do
    redis.call('EXPIRE', key, expiry_s) -- they outlive their last change, as long as somebody feeds the area
end
return {lost > 0 and 'mended' or 'kept', from, lost, alerts, scanned[1]}
