"""The examples that explain a CNN and a transformer, from start to picture."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_aib import data
from keras_aib.attribution import FeatureStatistics
from keras_aib.zoo.architectures.vit import PRETRAINED
from keras_aib.zoo.architectures.vit import build_vit_tiny32
from keras_aib.zoo.pretrained import assemble_classifier
from keras_aib.zoo.pretrained import build_head

EXAMPLES = Path(__file__).parents[1] / "examples"


def check_result(output, printed, num_rows):
    """Bits were printed for each picture, and drawn."""
    bits = re.findall(r"IBA +([\d,]+) bits", printed)
    assert len(bits) == 2 * num_rows
    assert all(int(x.replace(",", "")) > 0 for x in bits)
    with Image.open(output / "explanation.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 1000


@pytest.mark.once
@pytest.mark.slow
def test_explain_vit(tmp_path, monkeypatch, capsys):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (40, 32, 32, 3), "uint8")
    labels = np.arange(40, dtype="int32") % 10
    splits = (pixels, labels), (pixels[::-1], labels[::-1])
    monkeypatch.setattr(data, "load_cifar10", lambda: splits)
    head = build_head(96, 10)
    model = assemble_classifier(PRETRAINED[0], build_vit_tiny32(), head)
    model.save(tmp_path / "vit.keras")

    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = importlib.import_module("explain_vit")
    options = ("--images", "2", "--output", str(tmp_path))
    with pytest.warns(UserWarning, match="statistics are of 40 images"):
        example.main(["--model", str(tmp_path / "vit.keras"), *options])
    check_result(tmp_path, capsys.readouterr().out, 2)
    statistics = FeatureStatistics.load(tmp_path / "statistics.npz")
    assert statistics.count == 40
    stack = statistics.layers[0].removesuffix("block_2")
    assert statistics.layers == [
        f"{stack}block_2",
        *(f"{stack}block_{i}/layer_norm_1" for i in range(2, 6)),
    ]


@pytest.mark.once
@pytest.mark.large
def test_explain_cnn(tmp_path):
    run = subprocess.run(
        [
            *(sys.executable, str(EXAMPLES / "explain_cnn.py")),
            *("--image-size", "96", "--statistics-images", "1000"),
            *("--output", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    check_result(tmp_path, run.stdout, 4)
    statistics = FeatureStatistics.load(tmp_path / "statistics.npz")
    assert statistics.count == 1000
    assert all(statistics.mean(x).shape[0] == 6 for x in statistics.layers)
