"""The three scripts that make the leases safe: each looks and acts in one step.

A lease is a key that holds `OWNER:FENCE` and runs out by itself; a free one may be taken. One lease leads all pools, or
with `spread` one leads each, and then three rules more hold:

* **One way at a time.** While pools are led one by one the lease of all pools reads `spread:0`, and no such owner is
  there: nobody can take it, and machines that watch it see that somebody leads. While it names a daemon, no pool's own
  lease is worth anything.
* **Even shares.** A daemon takes free leases while it holds fewer than the number of pools by that of the daemons that
  live. One that holds at least two fewer than another asks for half of what that one has more; what is asked for is
  given back, and kept for whoever asked. So nothing is given back that nobody takes, whichever pools a daemon knows.
* **None left over.** A lease that a daemon finds free twice it takes beyond its share, too, unless it is asked for.
"""

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
local whole, daemons, pools = KEYS[1], KEYS[2], KEYS[3]
local owner, ttl, lately = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local shared, held = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if shared > 0 then
  redis.call('ZADD', daemons, now, owner)
else
  redis.call('ZREM', daemons, owner)
end
redis.call('ZREMRANGEBYSCORE', daemons, '-inf', now - ttl)
local living = redis.call('ZCARD', daemons)

local spread = KEYS[5] ~= whole
local all = spread and redis.call('GET', whole)
local other_way = spread and redis.call('GET', KEYS[4]) or not spread and redis.call('ZCARD', pools) > 0
local leases = {}
for at = 5, #KEYS, 3 do
  local holder = all and all ~= 'spread:0' and all or redis.call('GET', KEYS[at]) or ''
  local leader, number = string.match(holder, '^(.*):(%d+)$')
  local lease = {key = KEYS[at], fence = KEYS[at + 1], ask = KEYS[at + 2], leader = leader, number = number}
  lease.asker = redis.call('GET', lease.ask)
  table.insert(leases, lease)
  held = held + (leader == owner and 1 or 0)
end

local answers, led, asked = {}, {}, {}
for at, lease in ipairs(leases) do
  local leaves, again = ARGV[5 + #leases + at] == '1', ARGV[5 + 2 * #leases + at] == '1'
  local free = not lease.leader and (not leaves or other_way or redis.call('GET', lease.fence))
  local due = lease.asker == owner or not lease.asker and (again or held < shared / living)
  if free and shared > 0 and due then
    lease.leader, lease.number, held = owner, redis.call('INCR', lease.fence), held + 1
    redis.call('DEL', lease.ask)
    lease.asker = nil
  end
  local ours, wanted = lease.leader == owner, lease.asker and lease.asker ~= owner
  if lease.leader then
    led[lease.leader] = (led[lease.leader] or 0) + 1
    asked[lease.leader] = asked[lease.leader] or wanted
  end
  if ours then
    redis.call('SET', lease.key, owner .. ':' .. lease.number, 'PX', ttl)
    if spread then
      redis.call('ZADD', pools, now + ttl, ARGV[5 + at])
    end
  end
  local number = ours and tonumber(lease.number) or 0
  table.insert(answers, {number, ours and free and 1 or 0, lease.leader or '', ours and wanted and 1 or 0})
end

local most, fullest = held, nil
for _, lease in ipairs(leases) do
  local leader = lease.leader
  if leader and led[leader] > most and shared > 0 and not asked[leader] then
    most, fullest = led[leader], leader
  end
end
local short = math.floor((most - held) / 2)
for _, lease in ipairs(leases) do
  if short > 0 and lease.leader == fullest then
    redis.call('SET', lease.ask, owner, 'PX', ttl)
    short = short - 1
  elseif lease.asker == owner then
    redis.call('DEL', lease.ask)
  end
end

if spread and held > 0 and redis.call('PTTL', whole) < ttl then
  redis.call('SET', whole, 'spread:0', 'PX', ttl)
end
return {living, spread and redis.call('ZRANGEBYSCORE', pools, now - lately, '+inf') or {}, answers}
""")
"""Renew the leases of one daemon, and take free ones up to its share. Keys: the lease of all pools, daemons, pools, the
fence of all pools, and then lease, fence and ask of each unit. Arguments: owner, milliseconds, within how many
milliseconds pools that were led one by one are named, how many leases all daemons share (0: this one takes none, and is
not counted), how many it holds beside those of these units, the pool of each unit, nothing for all pools, and of each
unit, as 1 or 0, whether this daemon leaves its lease alone if that was never taken, nor one of the other way to lead
(the store may have been emptied), and whether it found it free before.

Gives how many daemons live; the pools that are or lately were led one by one; and of each unit the fence number, or 0
where this owner does not lead, whether it was taken, who leads, if anybody, and whether another daemon asks for it."""

COMMIT = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end

local kinds = {
  HSET = 'hash', HSETNX = 'hash', HDEL = 'hash', HIFEQ = 'hash', HSETFOR = 'hash', XADD = 'stream', XADDNEW = 'stream',
}
local look = 2
while look <= #ARGV do
  local kind, key = kinds[ARGV[look + 1]], ARGV[look + 2]
  local found = kind and redis.call('TYPE', key).ok
  if found and found ~= kind and found ~= 'none' then
    return key
  end
  look = look + tonumber(ARGV[look]) + 1
end

local ours = {}

function ours.HIFEQ(key, field, value, ...)
  if redis.call('HGET', key, field) == value then
    redis.call(...)
  end
end

function ours.HSETFOR(key, ends, milliseconds, ...)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for at = 1, select('#', ...), 2 do
    local field, value = select(at, ...)
    redis.call('HSET', key, field, value)
    redis.call('ZADD', ends, now + milliseconds, field)
  end
  for _, field in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now)) do
    redis.call('HDEL', key, field)
    redis.call('ZREM', ends, field)
  end
  for _, each in ipairs({key, ends}) do
    if redis.call('PTTL', each) < tonumber(milliseconds) then
      redis.call('PEXPIRE', each, milliseconds)
    end
  end
end

function ours.XADDNEW(key, length, field, ...)
  local known = {}
  for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', select('#', ...))) do
    known[entry[2][2]] = true
  end
  for _, value in ipairs({...}) do
    if not known[value] then
      redis.call('XADD', key, 'MAXLEN', '~', length, '*', field, value)
    end
  end
end

local at = 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  if ours[ARGV[at + 1]] then
    ours[ARGV[at + 1]](unpack(ARGV, at + 2, last))
  else
    redis.call(unpack(ARGV, at + 1, last))
  end
  at = last + 1
end
return 1
""")
"""Write if the lease is still ours. Keys: lease, then each key written. Arguments: OWNER:FENCE, then each command as
the number of its words and the words. Gives 1, or 0 when nothing was written.

A script that fails half-way leaves behind what it wrote before. So it looks first at what each key holds, and where one
is another program's it writes nothing and gives that key. (Redis itself looks before the first write whether it takes
any: it may be a replica, out of memory or unable to save.)

Three words are our own. `HIFEQ KEY FIELD VALUE COMMAND …` does a command only if a field still has a value: an operator
may have replaced his order meanwhile. `HSETFOR KEY ENDS MILLISECONDS FIELD VALUE …` sets fields for a time, which is
kept in the sorted set ENDS, and drops those whose time is over: several daemons say in one hash who is let in, and the
word of one that is dead must not stay because others go on (Redis has HPEXPIRE only since 7.4). `XADDNEW KEY LENGTH
FIELD VALUE …` adds to a stream of about that length those values that are not among as many of its newest.
"""

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
