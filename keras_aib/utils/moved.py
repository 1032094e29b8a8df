"""Modules under the names that they had in 0.1.0, for one release."""

import importlib
import sys
import warnings
from importlib.abc import Loader
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "keras_aib.commands": "keras_aib.cli.command_line",
    "keras_aib.zoo.benchmark": "keras_aib.zoo.benchmarks.speed",
    "keras_aib.zoo.evaluation": "keras_aib.runs.evaluation",
    "keras_aib.zoo.explanation": "keras_aib.runs.explanation",
    "keras_aib.zoo.metrics": "keras_aib.metrics",
    "keras_aib.zoo.optimizers": "keras_aib.optimizers",
    "keras_aib.zoo.reflect_pad_crop": "keras_aib.layers",
    "keras_aib.zoo.training": "keras_aib.runs",
}


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _new_name(fullname) is None:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        new_name = str(_new_name(module.__name__))
        # A future one: Python shows no deprecation that an import is far from.
        warnings.warn(
            f"{module.__name__} is {new_name} now. The old name goes with the "
            "next release.",
            FutureWarning,
            stacklevel=2,
        )
        sys.modules[module.__name__] = importlib.import_module(new_name)


def _new_name(name: str) -> str | None:
    # It is asked for every module that the program imports.
    if not name.startswith("keras_aib."):
        return None
    for old, new in MOVED.items():
        if name == old:
            return new
        # What was in a package is in that which took its place.
        if name.startswith(f"{old}."):
            return f"{new}{name.removeprefix(old)}"
    return None


def keep_old_names() -> None:
    """Let the old names be imported, with a warning."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        # First: what was in a package is found in its successor's folder too,
        # and would be loaded a second time.
        sys.meta_path.insert(0, _Moved())
