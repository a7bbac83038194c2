"""Tests of the control room's server."""

from __future__ import annotations
