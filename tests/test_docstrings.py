"""The examples in the docstrings run as they stand."""

import importlib
import inspect
import pkgutil
import re
import shutil

import pytest
from training_runs import tiny_config

import keras_aib
from keras_aib.runs import TrainingRun

pytestmark = pytest.mark.once

MODULES = (
    "ops",
    "layers",
    "models",
    "callbacks",
    "visualization",
    "export",
    "graph",
    "metrics",
    "utils",
    "attribution",
    "attribution.metrics",
    "data.published",
    "data.spec",
    "data.folder",
    "data.arrays",
    "data.image_dataset",
    "zoo",
    "runs",
)
# Too much for a test, and why.
NOT_RUN = {
    "zoo.download.download": "the address is made up",
    "runs.training_run.TrainingRun": "trains a large net for epochs",
}


def examples():
    for name in MODULES:
        package = importlib.import_module(f"keras_aib.{name}")
        paths = getattr(package, "__path__", None)
        found = pkgutil.iter_modules(paths) if paths else []
        modules = [
            package,
            *(
                importlib.import_module(f"{package.__name__}.{module.name}")
                for module in found
            ),
        ]
        for module in modules:
            for key, thing in vars(module).items():
                # Keras's own docstrings are inherited by private classes.
                if key.startswith("_"):
                    continue
                if getattr(thing, "__module__", None) != module.__name__:
                    continue
                name = f"{module.__name__}.{key}"
                reason = NOT_RUN.get(name.removeprefix("keras_aib."))
                marks = [pytest.mark.skip(reason)] if reason else []
                text = inspect.getdoc(thing) or ""
                for block in re.findall(r"```python\n(.*?)```", text, re.S):
                    yield pytest.param(block, id=name, marks=marks)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", list(examples()))
def test_example(block, folder, material):
    if '"photos"' in block:
        shutil.copytree(material / "images", "photos")
    if '"runs/photos"' in block:
        run = TrainingRun.start("runs/photos", tiny_config(material, epochs=1))
        run.train(verbose=0)
    exec(compile(block, "<docstring>", "exec"), {})


def test_every_public_name_has_an_example():
    shown = {param.id.rpartition(".")[2] for param in examples()}
    for package in (
        keras_aib.layers,
        keras_aib.models,
        keras_aib.callbacks,
        keras_aib.export,
    ):
        for name, thing in vars(package).items():
            if inspect.isclass(thing):
                assert name in shown
