"""The README's Python runs as it stands, from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def run_blocks(page, folder):
    text = (REPOSITORY / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
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
    return len(blocks)


def test_every_python_block_runs(tmp_path):
    assert run_blocks("README.md", tmp_path) >= 5
    made = {path.name for path in tmp_path.iterdir()}
    assert {"attention.png", "model.keras", "my_preset", "pictures"} <= made


@pytest.mark.large
def test_every_python_block_of_the_zoo_runs(tmp_path):
    assert run_blocks("zoo/README.md", tmp_path) >= 2


def test_it_opens_with_the_two_commands():
    opening = (REPOSITORY / "README.md").read_text()[:700]
    assert "make quickstart" in opening
    assert "make test" in opening
