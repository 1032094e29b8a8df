"""The examples in the docstrings run as they stand."""

import importlib
import inspect
import pkgutil
import re

import pytest

import keras_aib

MODULES = (
    "ops",
    "layers",
    "models",
    "callbacks",
    "visualization",
    "export",
    "files",
    "image_batches",
    "attribution",
    "attribution.metrics",
    "data.published",
    "data.spec",
    "data.folder",
    "data.arrays",
    "data.image_dataset",
)


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
                if getattr(thing, "__module__", None) != module.__name__:
                    continue
                text = inspect.getdoc(thing) or ""
                for block in re.findall(r"```python\n(.*?)```", text, re.S):
                    yield pytest.param(block, id=f"{module.__name__}.{key}")


@pytest.mark.parametrize("block", list(examples()))
def test_example(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
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
