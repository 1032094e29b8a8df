"""The Python of README and guides runs as it stands; links lead somewhere."""

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


# What each page leaves behind.
PAGES = {
    "README.md": {"attention.png", "model.keras", "model.onnx", "bits.png"},
    "docs/guides/fine_tune.md": {"model.keras", "my_preset", "pictures"},
    "docs/guides/where_it_looks.md": {"attention.png"},
    "docs/guides/explain_in_bits.md": {"bits.png", "explanations.png"},
    "docs/guides/ship_it.md": {"model.onnx", "model.onnx.json"},
    "docs/guides/own_gate.md": set(),
    "zoo/README.md": set(),
}


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_runs(page, tmp_path):
    assert run_blocks(page, tmp_path) >= 1
    assert PAGES[page] <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.once
def test_every_page_with_python_runs():
    pages = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    assert {
        path.relative_to(REPOSITORY).as_posix()
        for path in pages
        if "```python" in path.read_text()
    } <= set(PAGES)


@pytest.mark.once
def test_it_opens_with_the_two_commands():
    opening = (REPOSITORY / "README.md").read_text()[:700]
    assert "make quickstart" in opening
    assert "make test" in opening


def anchors(page):
    """Headings as GitHub links to them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.replace(" ", "-") for text in words}


@pytest.mark.once
def test_every_link_between_files_leads_somewhere():
    # Those of `docs/` are checked by `make docs`, where the zoo's pages are.
    pages = [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("zoo/**/*.md"),
        *REPOSITORY.glob("examples/*/*.md"),
    ]
    assert len(pages) > 12
    broken = []
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith(("http", "mailto:")):
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            found = target.exists()
            if found and anchor:
                found = anchor in anchors(target)
            if not found:
                broken.append(f"{page.relative_to(REPOSITORY)}: {link}")
    assert broken == []
