"""What to install is said in names that can be installed."""

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from keras_aib.utils import requirements

REPOSITORY = Path(__file__).parents[1]
pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("PIL.Image", "pillow"),
        ("matplotlib", "matplotlib"),
        ("skimage.metrics", "scikit-image"),
        ("keras_hub", "keras-hub"),
        ("ai_edge_litert", "ai-edge-litert"),
    ],
)
def test_a_module_is_named_by_its_package(monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    assert not requirements.is_installed(module)
    with pytest.raises(ImportError) as raised:
        requirements.require(module, "Drawing a map")
    message = str(raised.value)
    assert message.startswith(f"Drawing a map needs {package}. Install it")
    assert f"`pip install {package}`" in message
    assert raised.value.name == module


def test_the_rest_of_an_extra_is_named_where_it_is_missing(monkeypatch):
    def distribution(name):
        if name != "pillow":
            raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    monkeypatch.setattr(
        importlib.metadata,
        "requires",
        lambda name: [
            "keras>=3.15",
            'click>=8.2; extra == "cli"',
            "Tensor_Board>=2.16; extra == 'cli'",
            'pillow>=10; python_version > "3" and extra == "cli"',
            'onnx>=1; extra == "export"',
        ],
    )
    command = requirements.install_command("click", "cli")
    assert command == "pip install click tensor-board"
    assert requirements.install_command("click") == "pip install click"

    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    # Sources on the path, nothing installed.
    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert requirements.install_command("click", "cli") == "pip install click"


def test_what_is_there_is_imported():
    assert requirements.require("json.decoder", "Reading").JSONDecoder


def test_no_message_asks_for_a_distribution_that_cannot_be_installed():
    wrong = re.compile(r"pip install\b[^`]*?(?<!/)keras-aib", re.S)
    for folder in ("keras_aib", "zoo"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            assert not wrong.search(path.read_text()), path
