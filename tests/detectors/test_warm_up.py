"""The warm-up reaches the kernels: each of its steps produces something."""

from __future__ import annotations

from detectors.warm_up import compile_calibration, compile_kernels, compile_scan


def test_the_small_monitor_alerts_and_the_small_studies_find_something() -> None:
    assert compile_kernels() > 0
    assert compile_scan() > 0
    assert compile_calibration() > 0
