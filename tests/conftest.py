"""The real servers that the tests share, and names that keep tests apart on them."""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

from streams.local_services.kafka import LocalKafka
from streams.local_services.valkey import LocalValkey

# A test run in the background can ignore Ctrl-C; then every process that the tests start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


# The time that an example takes depends mostly on the other tests that run beside it.
settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside others")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests on real servers first: a long one at the end would leave the other workers idle."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/integration/"))


@dataclass(frozen=True)
class GivenKafka:
    """A broker that runs already, at the address in HOTSPOTS_TEST_KAFKA."""

    bootstrap: str


@dataclass(frozen=True)
class GivenValkey:
    """A Redis or Valkey server that runs already, at the URL in HOTSPOTS_TEST_REDIS."""

    url: str


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka | GivenKafka]:
    """The session's broker: `.bootstrap`, with `topic_prefix` for names. A test that harms a broker starts its own."""
    given = os.environ.get("HOTSPOTS_TEST_KAFKA")
    if given:
        yield GivenKafka(given)
    else:
        with LocalKafka(tmp_path_factory.mktemp("kafka")) as local:
            yield local


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalValkey | GivenValkey]:
    """The session's Valkey: `.url`, with `topic_prefix` in area names. A test that harms a server starts its own."""
    given = os.environ.get("HOTSPOTS_TEST_REDIS")
    if given:
        yield GivenValkey(given)
    else:
        with LocalValkey(tmp_path_factory.mktemp("valkey")) as local:
            yield local


@pytest.fixture(scope="session")
def _prefixes_given() -> Counter[str]:
    return Counter()


@pytest.fixture(scope="session")
def _run_name() -> str:
    """Empty on the session's own broker; random on a given one, which can hold topics of an earlier run."""
    return f"{uuid.uuid4().hex[:6]}-" if os.environ.get("HOTSPOTS_TEST_KAFKA") else ""


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest, _prefixes_given: Counter[str], _run_name: str) -> str:
    """A prefix for topics, groups and areas that no other test has; the same in every run on the session's broker."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:60]
    _prefixes_given[name] += 1
    return f"{_run_name}{name}-{_prefixes_given[name]}-"
