"""Parity with the arrays of the authors' forward and backward pass."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOLERANCE = {"float64": 1e-6, "float32": 1e-4}
NUM_ARRAYS = {"aib_continuous_1_sample": 25, "aib_quantized_1_sample": 26}


@pytest.fixture(scope="module")
def reports():
    """One process for both, so that its start is paid once."""
    result = subprocess.run(
        [sys.executable, str(HERE / "golden_parity.py"), *TOLERANCE],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_golden_array(reports, dtype):
    report = reports[dtype]
    assert {case: len(errors) for case, errors in report.items()} == NUM_ARRAYS
    too_far = {
        f"{case}/{name}": error
        for case, errors in report.items()
        for name, error in errors.items()
        if not error <= TOLERANCE[dtype]
    }
    assert not too_far
