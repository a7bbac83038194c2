-- Compares what Redis holds of an area with the ledger. What is lost is forgotten there, and the stored offset goes back
-- to its first record, so that it is read again; meanwhile everything else stays as it is.
--
-- KEYS  offset, stream, ledger, noted, open, where
-- ARGV  first (offset of the topic's oldest record), limit (a higher stored offset is of another topic), expiry_s, topic (its identity, or empty), prefix (of the keys of
--       alerts), cursor and slice (where to go on comparing alerts, and about how many), with_open (1: compare the
--       open ones as well)
-- Returns the outcome ("kept"; "mended"; "lost": all is read again; "replaced": another topic begins), the stored offset, the number of alerts that were lost, the number of alerts, and the next cursor ("0" after the last alert).

local offset_key, stream, ledger, noted, open, where = unpack(KEYS)
local first, limit, expiry_s, topic, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), unpack(ARGV, 3, 5)
local cursor, slice, with_open = ARGV[6], ARGV[7], ARGV[8] == '1'

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
            local oldest = redis.call('XPENDING', stream, group['name'])[2]
            groups[group['name']] = oldest and whole(string.match(oldest, '^%d+')) - 1 .. '-0' or group['last-delivered-id']
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

local function holds(id, alert)
    local key = prefix .. id
    local revisions = key .. ':revisions'
    if redis.call('TYPE', key).ok ~= 'hash' or redis.call('TYPE', revisions).ok ~= 'stream' then
        return false
    end
    return redis.call('XLEN', revisions) == alert.revisions
        and tonumber(redis.call('ZSCORE', open, id) or '-') == alert.urgency
        and tonumber(redis.call('ZSCORE', where, id) or '-') == alert.place
        and redis.call('HLEN', key) == #FIELDS
        and sum(redis.call('HMGET', key, unpack(FIELDS))) == alert.sum
end

local lost, from = 0, stored

local function compare(id, line)
    local alert = read(line)
    if line and holds(id, alert) then
        return
    end
    redis.call('DEL', prefix .. id, prefix .. id .. ':revisions')
    redis.call('ZREM', open, id)
    redis.call('ZREM', where, id)
    lost = lost + 1
    if line then
        note(ledger, noted, id, nil)
        from = alert.offset >= first and math.min(from, alert.from) or from
    end
end

if redis.call('ZCARD', open) ~= figure('open') or redis.call('ZCARD', where) ~= figure('placed') then
    each_noted(compare)
    count_again()
    with_open = true
end
if with_open then
    for _, key in ipairs({open, where}) do
        for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
            local line = redis.call('HGET', noted, id)
            local alert = read(line)
            if not line or key == open or not alert.place then
                compare(id, line)
            end
        end
    end
end
local scanned = redis.call('HSCAN', noted, cursor, 'COUNT', slice)
for index = 1, #scanned[2], 2 do
    compare(scanned[2][index], scanned[2][index + 1])
end
if from < stored then
    redis.call('HSET', ledger, 'until', string.format('%d', stored))
    redis.call('SET', offset_key, string.format('%d', from), 'EX', expiry_s)
end
return {lost > 0 and 'mended' or 'kept', from, lost, alerts, scanned[1]}
