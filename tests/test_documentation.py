"""What documents the package besides its pages: the notebook, the picture."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"

pytestmark = pytest.mark.once


def cells():
    notebook = json.loads((EXAMPLES / "keras_aib.ipynb").read_text())
    return [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in notebook["cells"]
    ]


def test_the_notebook_is_its_script():
    script = (EXAMPLES / "colab.py").read_text()
    expected = []
    for part in re.split(r"^# %%", script, flags=re.M)[1:]:
        first, _, text = part.partition("\n")
        kind = "markdown" if "[markdown]" in first else "code"
        if kind == "markdown" or text.startswith("# %"):
            text = re.sub(r"^# ?", "", text, flags=re.M)
        expected.append((kind, text.strip()))
    assert cells() == expected, "run `make notebook`"


def run(code, folder):
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


@pytest.mark.slow
def test_the_notebook_runs(tmp_path):
    code = "\n".join(
        text
        for kind, text in cells()
        if kind == "code" and not text.startswith("%")
    )
    few = code.replace("NUM_IMAGES = 1000", "NUM_IMAGES = 32")
    assert few != code
    shown = run(few, tmp_path)
    assert "% right" in shown
    assert (tmp_path / "model.onnx").is_file()


@pytest.mark.slow
def test_the_picture_of_the_readme_can_be_made(tmp_path):
    path = tmp_path / "hero.png"
    shown = subprocess.run(
        [
            *(sys.executable, EXAMPLES / "hero.py", "--statistics", "64"),
            *("--output", path),
        ],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr[-3000:]
    assert re.search(r"IBA, beta [\d.]+: class 3, \d+ bits", shown.stdout)
    with Image.open(path) as picture:
        assert picture.width > 2 * picture.height
