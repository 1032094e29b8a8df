"""The command line where little is installed: words, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import keras_aib_command
from keras_aib.utils import backend_check as _backend_check

pytestmark = pytest.mark.once

REPOSITORY = Path(__file__).parents[1]
EXTRAS = (
    *("PIL", "matplotlib", "tensorboard", "scipy", "skimage", "sklearn"),
    *("keras_hub", "keras_cv", "filelock", "tensorflow_datasets", "grain"),
    *("array_record", "onnx", "onnxruntime", "onnxscript", "tf2onnx"),
    *("jax2onnx", "ai_edge_litert", "openvino"),
)
# Before anything is imported, so that it looks as if it were not there.
HIDE = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None
    if name.partition(".")[0] in {hidden} else find(name, path, target)
)
"""
ASK = """
import sys
from keras_aib import cli
for command in ("", "list", "info", "train", "evaluate", "explain", "export",
                "benchmark"):
    try:
        cli.main([*command.split(), "--help"])
    except SystemExit as end:
        print(command, "ended with", end.code)
try:
    cli.main(["train", "--data", sys.argv[1], "--model", "aib_vgg16.cifar10",
              "--output", "run", "--image-size", "32"])
except SystemExit as end:
    print("it ended with", end.code)
"""


def python(code, hidden, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=hidden) + code, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
    )


def test_help_without_any_extra(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for index in range(2):
            (tmp_path / name / f"{index}.png").write_bytes(b"")
    others = {"tensorflow", "jax", "torch"} - {keras.config.backend()}
    run = python(ASK, (*EXTRAS, *others), str(tmp_path))
    assert "Traceback" not in run.stderr, run.stderr[-3000:]
    assert run.stdout.count("ended with 0") == 8
    assert run.stdout.lower().count("usage: ") == 8
    assert "it ended with 1" in run.stdout
    assert "Install it with `pip install keras-hub" in run.stderr


@pytest.mark.parametrize(
    ("hidden", "backend", "words"),
    [
        ((), "pytorch", ["'pytorch', which Keras does not have", "torch"]),
        (("torch",), "torch", ["not installed", "`pip install torch`"]),
    ],
)
@pytest.mark.parametrize(
    "code",
    [
        "import keras_aib_command; keras_aib_command.main()",
        "import runpy; runpy._run_module_as_main('keras_aib.cli')",
    ],
)
def test_a_backend_that_is_not_there(hidden, backend, words, code):
    run = python(code, hidden, "--help", KERAS_BACKEND=backend)
    assert run.returncode == 1
    assert "KERAS_BACKEND asks for" in run.stderr
    assert all(word in run.stderr for word in words)
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("environment", "configured", "there", "words"),
    [
        ("tf", None, ["jax"], ["'tf', which Keras", "installed (jax)"]),
        ("", None, ["torch"], ["'tensorflow', which is not", "(torch)"]),
        (None, "jax", [], ["keras.json asks", "`pip install jax`"]),
        (None, "theano", [], ["'theano'", "tensorflow, jax, torch"]),
        (None, 7, ["torch"], ["'7'"]),
    ],
)
def test_who_asked_for_it_and_what_to_do(
    monkeypatch, tmp_path, environment, configured, there, words
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if environment is not None:
        monkeypatch.setenv("KERAS_BACKEND", environment)
    if configured is not None:
        text = json.dumps({"backend": configured})
        (tmp_path / "keras.json").write_text(text)
    monkeypatch.setattr(_backend_check, "is_installed", there.__contains__)
    with pytest.raises(ImportError) as raised:
        _backend_check.check_backend()
    assert all(word in str(raised.value) for word in words)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_what_keras_would_take_is_let_through(monkeypatch, tmp_path, content):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "")
    (tmp_path / "keras.json").write_text(content)
    monkeypatch.setattr(
        _backend_check, "is_installed", ["tensorflow"].__contains__
    )
    _backend_check.check_backend()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--backend", "json"], "old"),
        (["train", "--backend", "jax"], "jax"),
        (["--traceback", "train", "--backend=torch", "--epochs"], "torch"),
        (["train", "--backend"], "old"),
    ],
)
def test_the_option_is_read_before_keras(monkeypatch, arguments, expected):
    monkeypatch.setenv("KERAS_BACKEND", "old")
    monkeypatch.setattr(sys, "argv", ["keras-aib", *arguments])
    monkeypatch.setattr(
        keras_aib_command.importlib.util, "find_spec", lambda name: name
    )
    called = []
    monkeypatch.setattr("keras_aib.cli.main", lambda: called.append(True))
    keras_aib_command.main()
    assert os.environ["KERAS_BACKEND"] == expected
    assert called == [True]
