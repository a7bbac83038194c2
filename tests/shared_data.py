"""Real incidents and reference results beside the checkout, in ``../shared``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(name: str) -> Path:
    """The path of a file or folder in ``../shared``, for example ``data/houston_2010.csv.gz``.

    Without it the test is skipped; with ``REQUIRE_SHARED_DATA`` in the environment it fails.
    """
    path = SHARED / name
    if not path.exists():
        message = f"../shared/{name} is not beside the checkout"
        if os.environ.get("REQUIRE_SHARED_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return path
