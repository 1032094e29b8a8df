"""The README's Python runs as it stands, from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[1]


def contents(folder):
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def run_blocks(page, folder):
    text = (REPOSITORY / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for index in range(4):
            pixels = np.random.default_rng(index).integers(0, 256, (48, 64, 3))
            path = folder / "photos" / name / f"{index}.png"
            Image.fromarray(pixels.astype("uint8")).save(path)
    before = contents(folder / "photos")
    script = folder / "readme.py"
    script.write_text("\n".join(blocks))
    run = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(blocks) == text.count("```python")
    # Whoever tries it in a folder with photos of their own keeps them.
    assert contents(folder / "photos") == before
    return len(blocks)


@pytest.mark.slow
@pytest.mark.once
def test_every_python_block_runs(tmp_path):
    assert run_blocks("README.md", tmp_path) >= 5
    made = {path.name for path in tmp_path.iterdir()}
    assert {"attention.png", "model.keras", "my_preset", "pictures"} <= made


@pytest.mark.once
@pytest.mark.large
def test_every_python_block_of_the_zoo_runs(tmp_path):
    assert run_blocks("zoo/README.md", tmp_path) >= 2


@pytest.mark.once
def test_it_opens_with_the_two_commands():
    opening = (REPOSITORY / "README.md").read_text()[:700]
    assert "make quickstart" in opening
    assert "make test" in opening
