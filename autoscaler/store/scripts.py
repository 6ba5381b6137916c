"""The three scripts that make the lease safe: each looks and acts in one step."""

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
local holder = redis.call('GET', KEYS[1])
if not holder then
  local fence = redis.call('INCR', KEYS[2])
  redis.call('SET', KEYS[1], ARGV[1] .. ':' .. fence, 'PX', ARGV[2])
  return {fence, 1}
end
local owner, fence = string.match(holder, '^(.*):(%d+)$')
if owner ~= ARGV[1] then
  return {0, 0}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {tonumber(fence), 0}
""")
"""Take or renew the lease. Keys: lease, fence. Arguments: owner, milliseconds.

Gives the fence number, or 0 when another owner leads, and whether the lease was free.
"""

COMMIT = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local at = 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  local word, key, field = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if word ~= 'HDELEQ' and word ~= 'HSETEQ' then
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
VALUE` deletes it, `HSETEQ KEY FIELD VALUE NEW` sets it. Gives 1, or 0 when nothing was written."""

RESIGN = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and string.match(holder, '^(.*):%d+$') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
""")
"""Free the lease if it is the owner's. Keys: lease. Arguments: owner."""
