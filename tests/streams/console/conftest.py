"""A console for each test file. Its areas are empty at the start of each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher
from redis import Redis

from streams.console import users
from streams.redis_copy.keys import area_key
from tests.streams.console.site import Client, Feed, configured, new_area, serving


@pytest.fixture(autouse=True, scope="package")
def _quick_hashes() -> Iterator[None]:
    """A real hash takes a tenth of a second, on purpose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture
def feed(valkey: Any) -> Iterator[Feed]:
    made = Feed(valkey.url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def areas() -> tuple[str, str]:
    return new_area(), new_area()


@pytest.fixture(scope="module")
def _client(valkey: Any, areas: tuple[str, str]) -> Iterator[Client]:
    with serving(configured(valkey.url, *areas)) as made:
        yield made


@pytest.fixture
def client(_client: Client, valkey: Any, areas: tuple[str, str]) -> Client:
    """A client of a console without a login."""
    _client.cookies.clear()
    with Redis.from_url(valkey.url) as redis:
        for area in areas:
            for key in redis.scan_iter(area_key(area, "*")):
                redis.delete(key)
    return _client
