"""The kernels are plain Python too: the same tests, the compiler switched off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_kernels_without_the_compiler():
    kernel_tests = Path(__file__).with_name("test_kernels.py")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(kernel_tests)],
        cwd=kernel_tests.parents[3],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "HYPOTHESIS_EXAMPLES": "8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
