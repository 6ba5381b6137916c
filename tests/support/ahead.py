"""Time that passes at once: the clock of daemons' event loop is set ahead, and what their Redis keeps grows older."""

from __future__ import annotations

import asyncio
from typing import Any

_AGE = """
local older_ms = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left_ms = redis.call('PTTL', key)
  if left_ms > 0 then
    redis.call('PEXPIRE', key, left_ms - older_ms)
  elseif redis.call('TYPE', key).ok == 'zset' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, -older_ms, member)
    end
  end
end
"""


class AheadLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be set ahead."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s

    def let_pass(self, seconds: float, redis: Any) -> None:
        """Let time pass here and in a Redis whose sorted sets all have times in milliseconds for scores."""
        self.ahead_s += seconds
        redis.eval(_AGE, 0, int(seconds * 1000))
