-- Take the next job of a list: from then on it is leased, in a sorted set, until the time when its lease ends.
-- KEYS: the list, the sorted set. ARGV: the seconds of a lease. Each job must be unique: put an id into it.
-- A worker puts the end of its lease off for as long as it is at the job, and removes the job when it is done.
local now = tonumber(redis.call('TIME')[1])
for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do -- its worker is dead
  redis.call('ZREM', KEYS[2], job)
  redis.call('LPUSH', KEYS[1], job)
end
local job = redis.call('LPOP', KEYS[1])
if job then
  redis.call('ZADD', KEYS[2], now + ARGV[1], job)
end
return job
