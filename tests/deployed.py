"""What the tests of the deployment examples share."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
MODEL = "aib_efficientnet_lite0.cifar10"
SIDE = 96
ANCHOR_STEP = 1 / 19
# Environment, script and exported file of each runtime.
RUNTIMES = {
    "litert": ("litert", "run_litert.py", "model.tflite"),
    "onnx": ("onnx", "run_onnx.py", "model.onnx"),
    "tf_saved_model": ("serving", "serve_saved_model.py", "saved_model"),
}
# Runs a script as python does, then says what has been imported.
WITNESS = """
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    names = sorted({name.partition(".")[0] for name in sys.modules})
    print("imported:", *names, file=sys.stderr)
"""
every_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


def python_of(runtime):
    environment = RUNTIMES[runtime][0]
    python = ROOT / ".venvs" / environment / "bin" / "python"
    if not python.is_file():
        pytest.fail(
            f"The environment .venvs/{environment} is missing. Run these tests "
            "with `make test-deployment`, which makes it."
        )
    return python


def load(path):
    with Image.open(path) as image:
        image.load()
    return image


def metadata_path(model):
    return model / "keras_aib.json" if model.is_dir() else Path(f"{model}.json")


def clean_environment():
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "KERAS", "COV"))
    }


def run(runtime, *arguments, cwd, before=()):
    return subprocess.run(
        [
            *before,
            *(python_of(runtime), "-B", EXAMPLES / RUNTIMES[runtime][1]),
            *arguments,
        ],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean_environment(),
        timeout=300,
    )


def numbers(runtime, model, photo, cwd):
    result = run(runtime, model, photo, "--json", cwd=cwd)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def assert_one_line(result, script, message):
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    # TensorFlow and LiteRT may greet before.
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith(f"{script}: "), result.stderr
    assert sum(line.startswith(script) for line in lines) == 1
    assert re.search(message, lines[-1]), lines[-1]
