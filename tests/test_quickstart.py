"""The quickstart, on few images: it trains, draws, saves and reloads."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "examples" / "quickstart.py"


@pytest.mark.large
@pytest.mark.skipif(
    keras.config.backend() != "tensorflow",
    reason="`make quickstart` trains on TensorFlow",
)
def test_quickstart(tmp_path):
    run = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--output", str(tmp_path)),
            *("--train-images", "128", "--test-images", "64"),
            *("--image-size", "64", "--epochs", "1"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    accuracies = re.findall(r"accuracy.*?(\d+\.\d)%", run.stdout)
    assert len(accuracies) >= 2
    assert "reloaded in a new process" in run.stdout
    assert (tmp_path / "model.keras").is_file()
    picture = Image.open(tmp_path / "attention.png")
    assert min(picture.size) > 400
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 1000
    # Without the image size, which the model knows.
    command = ["export", "model.keras", "--output", "model.onnx"]
    exported = subprocess.run(
        [sys.executable, "-m", "keras_aib.cli", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert exported.returncode == 0, exported.stderr[-3000:]
    assert "same class for 100.0% of them" in exported.stdout
