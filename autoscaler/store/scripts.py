"""The three scripts that make the leases safe: each looks and acts in one step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from autoscaler.link import Command


class Script:
    """A Lua script and the two ways to call it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def by_digest(self, keys: Sequence[str], arguments: Sequence[str | bytes | int | float]) -> Command:
        """Call it by its digest; Redis answers NOSCRIPT until it has seen it in full."""
        return ("EVALSHA", self._digest, len(keys), *keys, *arguments)

    def in_full(self, keys: Sequence[str], arguments: Sequence[str | bytes | int | float]) -> Command:
        """Call it by its text, which Redis then remembers."""
        return ("EVAL", self._source, len(keys), *keys, *arguments)


TAKE = Script("""
local lease, fence, whole, daemons, units = unpack(KEYS)
local owner, ttl, unit, shared, strays = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', daemons, string.format('%.0f', now), owner)
redis.call('ZREMRANGEBYSCORE', daemons, '-inf', string.format('(%.0f', now - ttl))
local living = redis.call('ZCARD', daemons)
local led = {}
if strays ~= '' then
  led = redis.call('ZRANGEBYSCORE', units, string.format('%.0f', now - tonumber(strays)), '+inf')
end
local holder = redis.call('GET', lease)
if not holder and unit ~= '' then
  holder = redis.call('GET', whole)
  if holder == 'spread:0' then
    holder = nil
  end
end
local leader, number = string.match(holder or ':0', '^(.*):(%d+)$')
if holder and leader ~= owner then
  return {0, 0, leader, living, led}
end
if not holder then
  local held = 0
  for _, name in ipairs(unit == '' and {} or redis.call('ZRANGEBYSCORE', units, string.format('%.0f', now), '+inf')) do
    local other = redis.call('GET', string.gsub(units, 'units$', 'pool:') .. name .. ':lease')
    if other and string.match(other, '^(.*):%d+$') == owner then
      held = held + 1
    end
  end
  if held >= math.ceil(shared / living) then
    return {0, 0, '', living, led}
  end
  number = redis.call('INCR', fence)
end
redis.call('SET', lease, owner .. ':' .. number, 'PX', ttl)
if unit ~= '' then
  redis.call('ZADD', units, string.format('%.0f', now + ttl), unit)
  if redis.call('PTTL', whole) < ttl then
    redis.call('SET', whole, 'spread:0', 'PX', ttl)
  end
end
return {tonumber(number), holder and 0 or 1, owner, living, led}
""")
"""Take or renew a lease. Keys: lease, fence, the lease of all pools, daemons, units. Arguments: owner, milliseconds,
the pool or nothing for all pools, how many leases all daemons share (0 where a free one is not to be taken; else it is
while this owner holds fewer than its share), and within how many milliseconds pools that were led one by one are to be
named, if they are.

Gives the fence number, or 0 when this owner does not lead; whether the lease was free; who leads, if anybody; how many
daemons live; and the pools that are led one by one.

While pools are led one by one the lease of all pools reads `spread:0`: nobody can take it, not even a program that
knows no other lease, and machines that watch it see that somebody leads.
"""

COMMIT = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local at = 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  local word, key, field = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if word == 'HSETFOR' then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    for word_at = at + 5, last, 2 do
      redis.call('HSET', key, ARGV[word_at], ARGV[word_at + 1])
      redis.call('ZADD', field, string.format('%.0f', now + tonumber(ARGV[at + 4])), ARGV[word_at])
    end
    for _, over in ipairs(redis.call('ZRANGEBYSCORE', field, '-inf', string.format('%.0f', now))) do
      redis.call('HDEL', key, over)
      redis.call('ZREM', field, over)
    end
    for _, each in ipairs({key, field}) do
      if redis.call('PTTL', each) < tonumber(ARGV[at + 4]) then
        redis.call('PEXPIRE', each, ARGV[at + 4])
      end
    end
  elseif word ~= 'HDELEQ' and word ~= 'HSETEQ' then
    redis.call(unpack(ARGV, at + 1, last))
  elseif redis.call('HGET', key, field) == ARGV[at + 4] then
    if word == 'HDELEQ' then
      redis.call('HDEL', key, field)
    else
      redis.call('HSET', key, field, ARGV[at + 5])
    end
  end
  at = last + 1
end
return 1
""")
"""Write if the lease is still ours. Keys: lease, then each key written. Arguments: OWNER:FENCE, then each command as
the number of its words and the words. Two that Redis lacks touch only a field that still has a value: `HDELEQ KEY FIELD
VALUE` deletes it, `HSETEQ KEY FIELD VALUE NEW` sets it. One, `HSETFOR KEY ENDS MILLISECONDS FIELD VALUE …`, sets fields
for a time, which is kept in the sorted set ENDS, and drops those whose time is over. Gives 1, or 0 when nothing was
written."""

RESIGN = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and string.match(holder, '^(.*):%d+$') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[2], ARGV[1])
end
""")
"""Free the lease if it is the owner's. Keys: lease, daemons. Arguments: owner, 0 where it goes for good."""
