"""What is installed: the wheel holds the zoo, and imports stay lean."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import pytest

import keras_aib

REPOSITORY = Path(__file__).parents[1]
BACKENDS = {"tensorflow", "jax", "torch"}
# Those that measure what a backend did, or ask it for what Keras has no word.
NAME_A_BACKEND = {
    "keras_aib/utils/compilation.py",
    "keras_aib/data/augmentation.py",
    "keras_aib/export/",
    "keras_aib/runs/distribution.py",
    "zoo/recipes/results.py",
    "zoo/benchmarks/",
}


def run_python(code, **environment):
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, **environment},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(REPOSITORY)]
    options = ["--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, *options, "-w", str(folder)], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
@pytest.mark.once
def test_the_wheel_imports_the_zoo_with_its_weights(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = """
import pathlib, keras_aib
from keras_aib import zoo
print([str(pathlib.Path(m.__file__).parent) for m in (keras_aib, zoo)],
      zoo.list_models())
zoo.load_backbone("efficientnet_lite0.imagenet")
print(keras_aib.__file__)
"""
    location = run_python(code, PYTHONPATH=str(tmp_path))
    assert location == str(tmp_path / "keras_aib" / "__init__.py")


@pytest.mark.once
def test_the_editable_install_imports_the_zoo():
    location = run_python("from keras_aib import zoo; print(zoo.__file__)")
    assert Path(location) == REPOSITORY / "zoo" / "__init__.py"


@pytest.mark.once
def test_import_brings_nothing_but_keras():
    code = """
import sys, json
import keras
before = set(sys.modules)
import keras_aib
print(json.dumps([m for m in set(sys.modules) - before if "." not in m]))
"""
    foreign = set(json.loads(run_python(code))) - set(sys.stdlib_module_names)
    assert foreign == {"keras_aib"}


REGISTERED = re.compile(
    r'register_keras_serializable\(package="keras_aib"\)\s*class (\w+)'
)


@pytest.mark.once
def test_import_makes_all_known_and_all_there():
    """Every class that a file may name, and every room, lazy ones too."""
    declared = {
        f"keras_aib>{name}"
        for folder in ("keras_aib", "zoo")
        for file in (REPOSITORY / folder).rglob("*.py")
        for name in REGISTERED.findall(file.read_text())
    }
    assert {"keras_aib>GroupedSGD", "keras_aib>ReflectPadCrop"} < declared
    rooms = {"attribution", "callbacks", "data", "export", "layers", "models"}
    rooms |= {"ops", "optimizers", "visualization", "zoo"}
    code = f"""
import json, keras, keras_aib
known = [*keras.saving.get_custom_objects()]
missing = [room for room in {sorted(rooms)} if room not in dir(keras_aib)]
for room in {sorted(rooms)}:
    getattr(keras_aib, room).__name__
print(json.dumps([known, missing]))
"""
    known, missing = json.loads(run_python(code))
    assert declared <= set(known)
    assert not missing
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = keras_aib.nothing


def test_the_jax_environment_has_no_tensorflow():
    """`make test` runs JAX where TensorFlow cannot be imported at all."""
    if keras.backend.backend() != "jax":
        pytest.importorskip(keras.backend.backend())
        return
    with pytest.raises(ImportError):
        __import__("tensorflow")


@pytest.mark.once
def test_who_imports_a_backend():
    """Data, layers and models never do, so that JAX needs no TensorFlow."""
    paths = [
        *REPOSITORY.glob("keras_aib/**/*.py"),
        *REPOSITORY.glob("zoo/**/*.py"),
    ]
    assert len(paths) > 100
    for path in paths:
        imported = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
        if BACKENDS & {name.partition(".")[0] for name in imported}:
            name = path.relative_to(REPOSITORY).as_posix()
            assert name.startswith(tuple(NAME_A_BACKEND)), name


# Each room imports from those behind it only; the zoo is the top floor, which
# `cli` and `runs` stand on.
ROOMS = (
    *("cli", "runs", "export", "attribution", "callbacks", "visualization"),
    "metrics",
    *("data", "models", "graph", "layers", "ops"),
    *("optimizers", "utils"),
)


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


@pytest.mark.once
def test_imports_point_down():
    upward = []
    for path in sorted((REPOSITORY / "keras_aib").glob("*/**/*.py")):
        name = path.relative_to(REPOSITORY).with_suffix("").as_posix()
        here = room_of(name.replace("/", "."))
        if here == "program":
            continue
        assert here in ROOMS, f"{name} is in no room"
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.module.partition(".")[0] != "keras_aib":
                continue
            module = node.module
            if module == "keras_aib":
                module = f"keras_aib.{node.names[0].name}"
            there = room_of(module)
            if there == "_version":
                continue
            if there == "zoo":
                allowed = here in ("cli", "runs")
            else:
                allowed = ROOMS.index(there) >= ROOMS.index(here)
            if not allowed:
                upward.append(f"{name} imports {module}")
    assert upward == []
