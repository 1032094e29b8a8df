"""Information-bottleneck vision for Keras 3."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

# First: a backend that is missing is an error of its own.
from keras_aib.utils import backend_check as backend_check  # isort: skip

from keras_aib import callbacks as callbacks
from keras_aib import data as data
from keras_aib import export as export
from keras_aib import layers as layers
from keras_aib import metrics as metrics
from keras_aib import models as models
from keras_aib import ops as ops
from keras_aib import optimizers as optimizers
from keras_aib import visualization as visualization
from keras_aib._version import __version__ as __version__
from keras_aib.utils.moved import keep_old_names

if TYPE_CHECKING:
    from keras_aib import attribution as attribution
    from keras_aib import zoo as zoo

keep_old_names()

# Imported when first used: they are large, and the zoo stands on all else.
_LAZY = ("attribution", "zoo")


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return importlib.import_module(f"keras_aib.{name}")
    raise AttributeError(f"module 'keras_aib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
