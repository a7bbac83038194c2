"""What Redis answers to a worker, before it joins or later: refused for good, not able at the moment, or taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from streams.configuration.load import Configuration
from streams.configuration.services import RedisSettings
from streams.configuration.sources import Secret
from streams.local_services.valkey import LocalValkey
from streams.redis_copy.contents import RedisCopy, Refusal
from tests.integration.redis_copy.fed_redis import feeding, wait_for

LOGIN = {"username": "worker", "password": Secret("right")}
RIGHTS = ("ACL", "SETUSER", "worker", "reset", "on", ">right")


@pytest.fixture
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with LocalValkey(tmp_path_factory.mktemp("refusing")) as server, Redis.from_url(server.url) as client:
        yield client


def url(admin: Any) -> str:
    return f"redis://127.0.0.1:{admin.connection_pool.connection_kwargs['port']}/0"


def answer(admin: Any, **login: Any) -> Refusal | None:
    with closing(RedisCopy(RedisSettings(url=url(admin), **login), 60)) as copy:
        return copy.refusal(["leeds", "york"])


def refusal(admin: Any, **login: Any) -> str:
    """Why Redis refuses for good."""
    found = answer(admin, **login)
    assert found is not None
    assert found.is_final
    return found.text


@pytest.mark.parametrize(
    ("rights", "password", "text"),
    [
        (("~hotspots:*", "&hotspots:*", "+@all"), "wrong", "invalid username-password pair"),
        (("off", "~*", "&*", "+@all"), "right", "invalid username-password pair"),
        (("~other:*", "&hotspots:*", "+@all"), "right", "No permissions to access a key"),
        (("%R~hotspots:*", "&hotspots:*", "+@all"), "right", "No permissions to access a key"),
        (("~hotspots:{leeds}:*", "&hotspots:*", "+@all"), "right", "No permissions to access a key"),
        (("~hotspots:*", "resetchannels", "+@all"), "right", "No permissions to access a channel"),
        (("~hotspots:*", "&hotspots:*", "+@all", "-@scripting"), "right", "no permissions to run the 'evalsha'"),
        (("~hotspots:*", "&hotspots:*", "+@all", "-geoadd"), "right", "geoadd"),
    ],
)
def test_a_wrong_login_or_too_few_rights_refuse(admin: Any, rights: tuple[str, ...], password: str, text: str) -> None:
    admin.execute_command(*RIGHTS, *rights)
    assert text in refusal(admin, username="worker", password=Secret(password))


def test_the_documented_rights_suffice_and_nothing_is_left_behind(admin: Any) -> None:
    admin.execute_command(*RIGHTS, "~hotspots:*", "&hotspots:*", "+@all", "-@admin", "-@dangerous", "+info")
    assert answer(admin, **LOGIN) is None
    assert admin.dbsize() == 0


def commands() -> list[str]:
    """Every command of the feeder, with its second word where the first is not enough: those of its scripts first."""
    scripts = "".join(each.read_text() for each in Path("streams/redis_copy").glob("*.lua"))
    found = re.findall(r"redis.p?call\('([A-Z]+)'(?:, '(GROUPS|STREAM|CREATE)')?", scripts)
    found += [(name, "") for name in ("EVALSHA", "STRLEN", "MULTI", "EXEC")]
    return sorted({"|".join(filter(None, each)).lower() for each in found})


def test_a_right_that_any_command_lacks_refuses(admin: Any) -> None:
    names = commands()
    assert {"hset", "xgroup|create", "xpending", "zcard", "exists", "multi"} <= set(names)
    for name in names:
        admin.execute_command(*RIGHTS, "~hotspots:*", "&hotspots:*", "+@all", f"-{name}")
        found = answer(admin, **LOGIN)
        assert found is not None, name
        assert found.is_final, name


def test_a_policy_that_is_not_shown_is_unknown(tmp_path: Path) -> None:
    class WithoutInfo(LocalValkey):
        def _command(self) -> list[str | Path]:
            return [*super()._command(), "--rename-command", "INFO", ""]

    with WithoutInfo(tmp_path) as server, closing(RedisCopy(RedisSettings(url=server.url), 60)) as copy:
        assert copy.eviction_policy() == "unknown"


def test_a_login_that_is_required_and_missing_refuses(admin: Any) -> None:
    admin.config_set("requirepass", "secret")
    assert "authenticated" in refusal(admin)


def test_a_replica_that_cannot_be_written_refuses(admin: Any) -> None:
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert "read only replica" in refusal(admin)


def test_a_database_that_does_not_exist_refuses(admin: Any) -> None:
    with closing(RedisCopy(RedisSettings(url=url(admin).replace("/0", "/999")), 60)) as copy:
        assert copy.refusal(["leeds"]) == ("DB index is out of range", True)


def full(admin: Any) -> None:
    admin.config_set("maxmemory", 1)


def without_master(admin: Any) -> None:
    admin.config_set("replica-serve-stale-data", "no")
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")


def gone(admin: Any) -> None:
    admin.shutdown(nosave=True)


@pytest.mark.parametrize("away", [full, without_master, gone])
def test_what_passes_by_itself_is_no_refusal(admin: Any, away: Callable[[Any], None]) -> None:
    away(admin)
    found = answer(admin)
    assert found is not None
    assert not found.is_final


def test_a_feeder_that_redis_refuses_at_its_first_answer_asks_to_leave(configuration: Configuration) -> None:
    wrong = RedisSettings(url=configuration.redis.url, username="worker", password=Secret("wrong"))
    with feeding(msgspec.structs.replace(configuration, redis=wrong)) as running:
        wait_for(lambda: bool(running.leaving), "the feeder asks to leave")
    assert re.search("refuses this worker: .*; correct \\[redis\\]", running.leaving[0])


def test_a_feeder_that_has_served_stays_when_the_password_changes(
    configuration: Configuration, valkey_client: Any
) -> None:
    with feeding(configuration) as running:
        wait_for(lambda: running.figure("redis_up") == 1.0, "Redis takes alerts")
        valkey_client.config_set("requirepass", "new")
        valkey_client.client_kill_filter(_type="normal", skipme=True)
        wait_for(lambda: running.figure("redis_up") == 0.0, "Redis refuses")
        valkey_client.config_set("requirepass", "")
        wait_for(lambda: running.figure("redis_up") == 1.0, "Redis takes alerts again")
    assert running.leaving == []
