"""Who we are to a Redis: users, passwords, files that hold them; and where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.core.errors import StoreRefused, StoreUnavailable
from autoscaler.core.units import Secret
from autoscaler.link import RedisSettings
from tests.support.fleet_store import keeps_a_fleet
from tests.support.queues import as_admin, linked
from tests.support.redis_server import RedisServer


async def test_a_socket_is_reached_as_a_user_with_a_password(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    server = RedisServer(tmp_path, "--unixsocket", str(path))
    server.start()
    await as_admin(server.url, ("ACL", "SETUSER", "me", "on", ">pass word", "~*", "+@all"))
    for redis in (
        RedisSettings(url=f"unix://{path}"),
        RedisSettings(url=f"unix://me:pass%20word@{path}"),
        RedisSettings(url=f"unix://{path}?db=4", username="me", password=Secret("pass word")),
    ):
        async with linked(redis) as link:
            await keeps_a_fleet(link)
            assert [await link.execute([("FLUSHDB",)])] == [[b"OK"]]
    server.stop()
    async with linked(f"unix://{path}") as link:
        with pytest.raises(StoreUnavailable, match=r"cannot be reached: .*redis\.sock"):
            await link.execute([("PING",)])


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_password_in_a_file_may_change_at_any_time(redis_url: str, tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    await as_admin(redis_url, ("ACL", "SETUSER", "me", "reset", "on", ">first", "~*", "+@all"))
    settings = RedisSettings(url=f"{redis_url}?protocol={protocol}", username="me", password_file=str(file))
    async with linked(settings) as link:
        assert await link.execute([("ACL", "WHOAMI")]) == [b"me"]
        await as_admin(
            redis_url,
            ("ACL", "SETUSER", "me", "resetpass", ">second"),
            ("CLIENT", "KILL", "USER", "me"),
        )
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await link.execute([("PING",)])
        file.write_text("second")
        assert await link.execute([("ACL", "WHOAMI")]) == [b"me"]
        await as_admin(redis_url, ("CLIENT", "KILL", "USER", "me"))
        file.unlink()
        with pytest.raises(StoreUnavailable):
            await link.execute([("PING",)])
        with pytest.raises(StoreRefused, match=r"password_file .*password cannot be read: .*No such file"):
            await link.execute([("PING",)])
    await as_admin(redis_url, ("ACL", "DELUSER", "me"))


async def test_what_stands_beside_the_url_counts(redis_url: str) -> None:
    await as_admin(redis_url, ("ACL", "SETUSER", "me", "reset", "on", "nopass", "~*", "+@all"))
    async with linked(RedisSettings(url=redis_url, username="me", db=5)) as link:
        [who, done] = await link.execute([("ACL", "WHOAMI"), ("SET", "k", "v")])
        assert (who, done) == (b"me", b"OK")
    async with linked(f"{redis_url}/5") as link:
        assert await link.execute([("GET", "k")]) == [b"v"]
    await as_admin(redis_url, ("ACL", "DELUSER", "me"))


@pytest.mark.parametrize("protocol", [2, 3])
async def test_mistakes_that_a_connection_shows_name_the_fix_and_no_secret(redis_url: str, protocol: int) -> None:
    limited = ("ACL", "SETUSER", "limited", "reset", "on", ">hunter2", "~*", "+get")
    await as_admin(redis_url, limited)
    host = redis_url.removeprefix("redis://")
    for url, fix in (
        (f"redis://limited:wrong-hunter2@{host}", "check `username` and `password`, or the URL"),
        (f"redis://nobody:hunter2@{host}", "check `username` and `password`, or the URL"),
        (f"{redis_url}/99", "change `db`, or the number in the URL"),
        (f"redis://limited:hunter2@{host}/1", r"allow it \+@connection"),
    ):
        async with linked(f"{url}?protocol={protocol}") as link:
            with pytest.raises(StoreRefused, match=fix) as refusal:
                await link.execute([("GET", "k")])
            assert "hunter2" not in str(refusal.value)
    await as_admin(redis_url, ("ACL", "DELUSER", "limited"))


def test_settings_shown_hold_no_secret() -> None:
    for redis in (
        RedisSettings(url="redis://me:hunter2@h:1/2"),
        RedisSettings(url="redis://h?password=hunter2"),
        RedisSettings(url="redis+sentinel://me:hunter2@a,b/mymaster/3"),
        RedisSettings(url="unix://me:hunter2@/run/redis.sock", password=Secret("hunter2")),
    ):
        assert "hunter2" not in str(redis)
    assert str(RedisSettings(url="rediss+sentinel://me:x@a,[::1]:7/mymaster/3")) == (
        "rediss+sentinel://a:26379,[::1]:7/mymaster/3"
    )
