-- Does once what the feeder does, on a key of an area that nobody reads, and leaves nothing behind.
--
-- KEYS  the key
-- ARGV  the channel

local key, channel = KEYS[1], ARGV[1]

redis.call('SET', key, '1', 'EX', 1) -- first, because a full Redis refuses it
redis.call('GET', key)
redis.call('TYPE', key)
redis.call('EXPIRE', key, 1)
redis.call('DEL', key)
redis.call('XADD', key, '1-0', 'field', 'value')
redis.call('XLEN', key)
redis.call('XTRIM', key, 'MINID', '2')
redis.call('XINFO', 'STREAM', key)
redis.call('XGROUP', 'CREATE', key, 'group', '0', 'MKSTREAM')
redis.call('XINFO', 'GROUPS', key)
redis.call('XPENDING', key, 'group')
redis.call('DEL', key)
redis.call('HSET', key, 'field', 'value')
redis.call('HGET', key, 'field')
redis.call('HMGET', key, 'field')
redis.call('HGETALL', key)
redis.call('HSTRLEN', key, 'field')
redis.call('HSCAN', key, 0)
redis.call('HLEN', key)
redis.call('HDEL', key, 'field')
redis.call('EXISTS', key)
redis.call('ZADD', key, 1, 'member')
redis.call('ZSCORE', key, 'member')
redis.call('ZCARD', key)
redis.call('ZRANGE', key, 0, -1)
redis.call('ZREM', key, 'member')
redis.call('GEOADD', key, 0, 0, 'member')
redis.call('DEL', key)
redis.call('PUBLISH', channel, '')
redis.call('TIME')
