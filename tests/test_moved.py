"""Code that was written for 0.1.0 finds what has moved since."""

import importlib
import sys

import pytest

from keras_aib.utils.moved import MOVED

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *MOVED.items(),
        ("keras_aib.zoo.training.run_config", "keras_aib.runs.run_config"),
    ],
)
def test_the_old_name_is_the_same_module(old, new, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(old)]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.warns(FutureWarning, match=f"{old} is {new} now"):
        module = importlib.import_module(old)
    assert module is importlib.import_module(new)


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"zoo\.nothing"):
        importlib.import_module("keras_aib.zoo.nothing")
