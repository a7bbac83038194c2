"""A site for each test: its own configuration, topics and group on the shared broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import GivenKafka
from tests.integration.worker_process import Site

NewSite = Callable[..., Site]


@pytest.fixture
def new_site(tmp_path: Path, kafka: GivenKafka, topic_prefix: str) -> Iterator[NewSite]:
    """Makes the test's site, from areas and settings."""
    sites: list[Site] = []

    def make(*areas: str, **settings: Any) -> Site:
        sites.append(Site(tmp_path, kafka.bootstrap, topic_prefix, areas or ("leeds",), **settings))
        return sites[-1]

    yield make
    for site in sites:
        site.close()
